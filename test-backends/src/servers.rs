//! The servers, each launched once, or named by the environment.

use std::{env, sync::LazyLock, time::Duration};

use session_servers::{
    Endpoint, LaunchError,
    mariadb::{self, MariaDb},
    mongo::MongoReplicaSet,
    postgres::{self, Postgres},
    redis::{self, Redis},
};
use tokio::{runtime::Runtime, sync::OnceCell};

/// Outlives the runtimes of the tests. The servers end with the process.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

type Launched<S> = OnceCell<Result<S, String>>;

async fn launched<S: Send + 'static>(
    cell: &'static Launched<S>,
    launch: impl Future<Output = Result<S, LaunchError>> + Send + 'static,
) -> Result<&'static S, String> {
    let launching =
        || async { RUNTIME.spawn(launch).await.expect("no panic").map_err(|error| error.to_string()) };
    cell.get_or_init(launching).await.as_ref().map_err(Clone::clone)
}

/// The URL of a Redis server.
pub(crate) async fn redis() -> Result<String, String> {
    static SERVER: Launched<Endpoint<Redis>> = OnceCell::const_new();
    launched(&SERVER, redis::endpoint()).await.map(Endpoint::url)
}

/// The URL of a database of a `PostgreSQL` server.
pub(crate) async fn postgres() -> Result<String, String> {
    static SERVER: Launched<Endpoint<Postgres>> = OnceCell::const_new();
    launched(&SERVER, postgres::endpoint()).await.map(Endpoint::url)
}

/// The URL of a database of a `MariaDB` server.
pub(crate) async fn mysql() -> Result<String, String> {
    static SERVER: Launched<Endpoint<MariaDb>> = OnceCell::const_new();
    launched(&SERVER, mariadb::endpoint()).await.map(Endpoint::url)
}

/// The URL of a replica set, of one member: a standalone server has no watch.
pub(crate) async fn mongo() -> Result<String, String> {
    static SERVER: Launched<MongoReplicaSet> = OnceCell::const_new();
    if let Some(url) = env::var("SESSION_MONGO_URL").ok().filter(|url| !url.is_empty()) {
        return Ok(url);
    }
    let launch = MongoReplicaSet::start(1, &[], Duration::from_secs(2));
    launched(&SERVER, launch).await.map(MongoReplicaSet::url)
}
