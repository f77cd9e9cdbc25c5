//! The suite on `MariaDB`, and on the code path for `MySQL`, bare and batched, on the store's own
//! connections and on a pool of the application.

mod support;

use std::{process::ExitCode, sync::Arc, time::Duration};

use session_conformance::{BreakableServer, Fault, Foreign, Namespace, Suite, Target, Unavailable};
use session_core::{SessionKey, SessionStore};
use session_servers::{Endpoint, Once, mariadb::MariaDb};
#[cfg(feature = "cache")]
use session_sql::{CacheExt, CacheSettings};
use session_sql::{MySqlStore, MySqlStoreBuilder};
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, MySqlPool};
use tokio::runtime::Runtime;

const DEADLINE: Duration = Duration::from_secs(1);

/// The purge interval, where a test waits for the purge.
const OFTEN: Duration = Duration::from_millis(100);

/// What the README promises.
const RECOVERY: Duration = Duration::from_secs(2);

type Shared = &'static Once<Endpoint<MariaDb>>;

#[derive(Clone, Copy)]
enum Kind {
    Bare,
    Batched,
    /// Uses the code path for a server without `RETURNING`.
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
        // A column has one type, so the content is made invalid instead.
        Foreign::WrongType => "v = x'07', n = -1, d = 'text'",
        Foreign::Truncated => "d = substr(d, 1, 3)",
        // What another release calls the expiry may look like one that has passed.
        _ if key.as_bytes()[1].is_multiple_of(2) => "f = 2, e = '2001-01-01'",
        _ => "f = 2",
    };
    run(url, format!("UPDATE `{namespace}` SET {set} WHERE k = x'{key}'")).await;
}

fn url(server: Shared) -> Result<String, Unavailable> {
    server.get().map(|server| server.url()).map_err(Unavailable::because)
}

fn with_shared(target: Target, server: Shared) -> Target {
    target
        .foreign_bytes(Foreign::ALL, move |namespace, key, foreign| async move {
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
    let target = Target::new(name, handle)
        .second_handle(move |namespace, _first| handle(namespace))
        .hears_one_process();
    let target = target.self_purging(move |namespace| async move {
        let often = settings(&namespace, kind).purge_interval(Some(OFTEN));
        as_dyn(often.connect(&url(server)?).await)
    });
    with_shared(target, server).faults(Fault::ALL, move |namespace| async move {
        let engine = MariaDb::new().args(["--innodb-flush-log-at-trx-commit=2"]);
        let server = BreakableServer::launch(engine).await.map_err(Unavailable::because)?;
        let open = async |addr| {
            let settings = settings(&namespace, kind).deadline(DEADLINE);
            as_dyn(settings.connect(&format!("mysql://root@{addr}/sessions")).await)
        };
        server.breakable(DEADLINE, RECOVERY, open).await
    })
}

fn on_a_pool(name: &str, server: Shared) -> Target {
    let handle = move |namespace: Namespace| async move {
        let pool = MySqlPool::connect(&url(server)?).await.map_err(Unavailable::because)?;
        as_dyn(settings(&namespace, Kind::Batched).from_pool(pool).await)
    };
    let target = Target::new(name, handle)
        .second_handle(move |namespace, _first| handle(namespace))
        .hears_one_process();
    with_shared(target, server)
}

/// The maximum staleness of reads through other nodes.
#[cfg(feature = "cache")]
const STALENESS: Duration = Duration::from_millis(500);

/// The same stores, each with a cache of its own. All of them are in this process, because their
/// watch hears no other process.
#[cfg(feature = "cache")]
fn cached(name: &str, target: Target) -> Target {
    let layer = |store: Arc<dyn SessionStore>| async move {
        let settings = CacheSettings::default().max_staleness(STALENESS).accept_staleness_without_watch();
        let cached = store.cached(settings).map_err(Unavailable::because)?;
        cached.wait_until_ready().await;
        Ok(Arc::new(cached) as Arc<dyn SessionStore>)
    };
    target.layered(name, layer).staleness(STALENESS)
}

fn main() -> ExitCode {
    let runtime: &'static Runtime = Box::leak(Box::new(support::runtime()));
    // The suite does not test what a crash of the operating system can take back.
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
