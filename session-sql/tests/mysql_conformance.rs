//! The suite on `MariaDB`, and on the way that `MySQL` takes, bare and batched, on connections of the store's own and on an application's pool.

mod support;

use std::{process::ExitCode, sync::Arc, time::Duration};

use session_conformance::{Breakable, Fault, Foreign, Namespace, Suite, Target, Unavailable};
use session_core::{SessionKey, SessionStore};
use session_servers::{Endpoint, Once, Proxy, mariadb::MariaDb};
#[cfg(feature = "cache")]
use session_sql::{CacheExt, CacheSettings};
use session_sql::{MySqlStore, MySqlStoreBuilder};
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, MySqlPool};
use support::broken::Broken;
use tokio::runtime::Runtime;

const ALL: [Foreign; 3] = [Foreign::WrongType, Foreign::Truncated, Foreign::NewerFormat];

const DEADLINE: Duration = Duration::from_secs(1);

/// What the README promises.
const RECOVERY: Duration = Duration::from_secs(2);

type Shared = &'static Once<Endpoint<MariaDb>>;

#[derive(Clone, Copy)]
enum Kind {
    Bare,
    Batched,
    /// As on a server without `RETURNING`.
    MySql,
}

fn settings(namespace: &Namespace, kind: Kind) -> MySqlStoreBuilder {
    let settings = MySqlStore::builder().table(namespace.as_str());
    match kind {
        Kind::Bare => settings.batching(None),
        Kind::Batched => settings,
        Kind::MySql => settings.without_returning(),
    }
}

fn as_dyn(opened: session_core::Result<MySqlStore>) -> Result<Arc<dyn SessionStore>, Unavailable> {
    opened.map(|store| -> Arc<dyn SessionStore> { Arc::new(store) }).map_err(|error| {
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        Unavailable::because(format!("{error}; {source}"))
    })
}

async fn run(url: &str, sql: String) {
    let mut connection = MySqlConnection::connect(url).await.expect("connected");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("executed");
    connection.close().await.expect("closed");
}

async fn plant(url: &str, namespace: &Namespace, key: SessionKey, foreign: Foreign) {
    let set = match foreign {
        // A column has one type; what is in it is nothing of ours.
        Foreign::WrongType => "v = x'07', n = -1, d = 'text'",
        Foreign::Truncated => "d = substr(d, 1, 3)",
        _ => "f = 2",
    };
    run(url, format!("UPDATE `{namespace}` SET {set} WHERE k = x'{key}'")).await;
}

fn url(server: Shared) -> Result<String, Unavailable> {
    server.get().map(|server| server.url()).map_err(Unavailable::because)
}

fn with_shared(target: Target, server: Shared) -> Target {
    target
        .foreign_bytes(&ALL, move |namespace, key, foreign| async move {
            plant(&url(server).expect("it is there"), &namespace, key, foreign).await;
        })
        .clean_up(move |namespace| async move {
            let sql = format!("DROP TABLE IF EXISTS `{namespace}`");
            run(&url(server).expect("it is there"), sql).await;
        })
        .required_as("mysql")
}

fn own(name: &str, kind: Kind, server: Shared) -> Target {
    let handle = move |namespace: Namespace| async move {
        as_dyn(settings(&namespace, kind).connect(&url(server)?).await)
    };
    let target = Target::new(name, handle).second_handle(move |namespace, _first| handle(namespace));
    with_shared(target, server).faults(
        &[Fault::Freeze, Fault::Kill, Fault::LoseReplies],
        move |namespace| async move {
            let server = MariaDb::new()
                .args(["--innodb-flush-log-at-trx-commit=2"])
                .start()
                .await
                .map_err(Unavailable::because)?;
            let proxy = Proxy::start(server.addr()).await.map_err(Unavailable::because)?;
            let url = format!("mysql://root@{}/sessions", proxy.addr());
            let store = as_dyn(settings(&namespace, kind).deadline(DEADLINE).connect(&url).await)?;
            let control = Arc::new(Broken { server, proxy });
            Ok(Breakable { store, control, deadline: DEADLINE, recovery: RECOVERY })
        },
    )
}

fn on_a_pool(name: &str, server: Shared) -> Target {
    let handle = move |namespace: Namespace| async move {
        let pool = MySqlPool::connect(&url(server)?).await.map_err(Unavailable::because)?;
        as_dyn(settings(&namespace, Kind::Batched).from_pool(pool).await)
    };
    let target = Target::new(name, handle).second_handle(move |namespace, _first| handle(namespace));
    with_shared(target, server)
}

/// How stale reads through other nodes may be, at the worst.
#[cfg(feature = "cache")]
const STALENESS: Duration = Duration::from_millis(500);

/// The same stores, each with a cache of its own. All of them are in this process, which is as far as their watch hears.
#[cfg(feature = "cache")]
fn cached(name: &str, target: Target) -> Target {
    let layer = |store: Arc<dyn SessionStore>| async move {
        let settings = CacheSettings::default().max_staleness(STALENESS).accept_staleness_without_watch();
        let cached = store.cached(settings).map_err(Unavailable::because)?;
        cached.until_whole().await;
        Ok(Arc::new(cached) as Arc<dyn SessionStore>)
    };
    target.layered(name, layer).staleness(STALENESS)
}

fn main() -> ExitCode {
    let runtime: &'static Runtime = Box::leak(Box::new(support::runtime()));
    // What a crash of the operating system can take back is not what the suite is about.
    let endpoint =
        Endpoint::find("SESSION_MYSQL_URL", MariaDb::new().args(["--innodb-flush-log-at-trx-commit=2"]));
    let server: Shared = Box::leak(Box::new(Once::new(runtime, endpoint)));
    let suite = Suite::new()
        .target(own("mariadb", Kind::Bare, server))
        .target(own("mariadb-batched", Kind::Batched, server))
        .target(own("mysql", Kind::MySql, server))
        .target(on_a_pool("mariadb-pool", server));
    #[cfg(feature = "cache")]
    let suite = suite.target(cached("mariadb-cached", own("mariadb", Kind::Batched, server)));
    let code = suite.main();
    server.end();
    code
}
