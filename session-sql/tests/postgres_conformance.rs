//! The suite on `PostgreSQL`, bare and batched, on the store's own connections and on a pool of the
//! application.

mod support;

use std::{process::ExitCode, sync::Arc, time::Duration};

use session_conformance::{
    BreakableServer, Capability, Fault, Foreign, Namespace, Suite, Target, Unavailable,
};
use session_core::{SessionKey, SessionStore};
use session_servers::{
    Endpoint, LaunchError, Once,
    postgres::{PgBouncer, PgBouncerServer, Postgres, PostgresServer},
};
#[cfg(feature = "cache")]
use session_sql::{CacheExt, CacheSettings};
use session_sql::{PostgresStore, PostgresStoreBuilder};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use tokio::runtime::Runtime;

const DEADLINE: Duration = Duration::from_secs(1);

/// The purge interval, where a test waits for the purge.
const OFTEN: Duration = Duration::from_millis(100);

/// What the README promises.
const RECOVERY: Duration = Duration::from_secs(2);

type Shared = &'static Once<Endpoint<Postgres>>;

fn settings(namespace: &Namespace, batched: bool) -> PostgresStoreBuilder {
    let settings = PostgresStore::builder().table(namespace.as_str());
    if batched { settings } else { settings.batching(None) }
}

fn as_dyn(opened: session_core::Result<PostgresStore>) -> Result<Arc<dyn SessionStore>, Unavailable> {
    opened.map(|store| -> Arc<dyn SessionStore> { Arc::new(store) }).map_err(|error| {
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        Unavailable::because(format!("{error}; {source}"))
    })
}

async fn run(url: &str, sql: String) {
    let mut connection = PgConnection::connect(url).await.expect("connected");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("executed");
    connection.close().await.expect("closed");
}

async fn plant(url: &str, namespace: &Namespace, key: SessionKey, foreign: Foreign) {
    let set = match foreign {
        // A column has one type, so the content is made invalid instead.
        Foreign::WrongType => "v = '\\x07', n = -1, d = 'text'",
        Foreign::Truncated => "d = substr(d, 1, 3)",
        // What another release calls the expiry may look like one that has passed.
        _ if key.as_bytes()[1].is_multiple_of(2) => "f = 2, e = now() - interval '1 day'",
        _ => "f = 2",
    };
    run(url, format!("UPDATE \"{namespace}\" SET {set} WHERE k = '\\x{key}'")).await;
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
            let sql = format!("DROP TABLE IF EXISTS \"{namespace}\"");
            run(&url(server).expect("it is there"), sql).await;
        })
        .required_as("postgres")
}

fn own(name: &str, batched: bool, server: Shared) -> Target {
    let handle = move |namespace: Namespace| async move {
        as_dyn(settings(&namespace, batched).connect(&url(server)?).await)
    };
    let target = Target::new(name, handle).second_handle(move |namespace, _first| handle(namespace));
    let target = target.self_purging(move |namespace| async move {
        let often = settings(&namespace, batched).purge_interval(Some(OFTEN));
        as_dyn(often.connect(&url(server)?).await)
    });
    with_shared(target, server).faults(Fault::ALL, move |namespace| async move {
        let engine = Postgres::new().args(["-c", "fsync=off"]);
        let server = BreakableServer::launch(engine).await.map_err(Unavailable::because)?;
        let open = async |addr| {
            let settings = settings(&namespace, batched).deadline(DEADLINE);
            as_dyn(settings.connect(&format!("postgres://postgres@{addr}/postgres")).await)
        };
        server.breakable(DEADLINE, RECOVERY, open).await
    })
}

fn on_a_pool(name: &str, server: Shared) -> Target {
    let handle = move |namespace: Namespace| async move {
        let pool = PgPool::connect(&url(server)?).await.map_err(Unavailable::because)?;
        as_dyn(settings(&namespace, true).from_pool(pool).await)
    };
    let target = Target::new(name, handle).second_handle(move |namespace, _first| handle(namespace));
    with_shared(target, server)
}

/// A server, and a pooler that rotates its few connections between transactions.
struct Pooled {
    server: PostgresServer,
    pooler: PgBouncerServer,
}

impl Pooled {
    async fn start() -> Result<Self, LaunchError> {
        let server = Postgres::new().args(["-c", "fsync=off"]).start().await?;
        let pooler = PgBouncer::before(server.addr());
        let pooler = pooler.settings(["default_pool_size = 6", "server_round_robin = 1"]).start().await?;
        Ok(Self { server, pooler })
    }
}

fn through_a_pooler(name: &str, pooled: &'static Once<Pooled>) -> Target {
    let get = move || pooled.get().map_err(Unavailable::because);
    let direct = move || get().expect("it is there").server.url();
    let handle = move |namespace: Namespace| async move {
        as_dyn(settings(&namespace, true).connect(&get()?.pooler.url()).await)
    };
    Target::new(name, handle)
        .second_handle(move |namespace, _first| handle(namespace))
        .without(Capability::Watch, "a pooler in transaction mode lets no client listen")
        .foreign_bytes(Foreign::ALL, move |namespace, key, foreign| async move {
            plant(&direct(), &namespace, key, foreign).await;
        })
        .clean_up(move |namespace| async move {
            run(&direct(), format!("DROP TABLE IF EXISTS \"{namespace}\"")).await;
        })
        .required_as("pgbouncer")
}

/// The maximum staleness of reads through other nodes.
#[cfg(feature = "cache")]
const STALENESS: Duration = Duration::from_millis(500);

/// The same stores, each with a cache of its own.
#[cfg(feature = "cache")]
fn cached(name: &str, target: Target) -> Target {
    let layer = |store: Arc<dyn SessionStore>| async move {
        let settings = CacheSettings::default().max_staleness(STALENESS);
        let cached = store.cached(settings).map_err(Unavailable::because)?;
        cached.wait_until_ready().await;
        Ok(Arc::new(cached) as Arc<dyn SessionStore>)
    };
    target.layered(name, layer).staleness(STALENESS)
}

fn main() -> ExitCode {
    let runtime: &'static Runtime = Box::leak(Box::new(support::runtime()));
    // The suite does not test what a crash of the operating system can take back.
    let endpoint = Endpoint::find("SESSION_POSTGRES_URL", Postgres::new().args(["-c", "fsync=off"]));
    let server: Shared = Box::leak(Box::new(Once::new(runtime, endpoint)));
    let pooled: &'static Once<Pooled> = Box::leak(Box::new(Once::new(runtime, Pooled::start())));
    let suite = Suite::new()
        .target(own("postgres", false, server))
        .target(own("postgres-batched", true, server))
        .target(on_a_pool("postgres-pool", server))
        .target(through_a_pooler("postgres-pooler", pooled));
    #[cfg(feature = "cache")]
    let suite = suite.target(cached("postgres-cached", own("postgres", true, server)));
    let code = suite.main();
    server.end();
    pooled.end();
    code
}
