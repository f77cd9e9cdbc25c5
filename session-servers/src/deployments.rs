//! A deployment of each engine, for tests that are written once and run on all of them.

use std::{
    env,
    pin::Pin,
    process,
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use tempfile::TempDir;
use tokio::{runtime::Runtime, sync::OnceCell};

use crate::{
    Endpoint, LaunchError,
    mariadb::{self, MariaDb},
    mongo::MongoReplicaSet,
    postgres::{self, Postgres},
    redis::{self, Redis},
    required,
};

type NewUrl = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;

/// An engine on this machine, and URLs of empty stores in it.
///
/// The server is launched when the first URL is requested, and ends with the process. If the
/// environment names a server, that one is used instead.
#[derive(Clone, Copy, Debug)]
pub struct Deployment {
    /// The name of the engine. For a server, it is also the word in `SESSION_REQUIRE`.
    pub name: &'static str,
    /// True if the sessions outlive the process that opened the store.
    pub is_durable: bool,
    /// True if the store's watch reports an expiry as such.
    pub tells_expiry: bool,
    new_url: fn() -> NewUrl,
}

/// Every engine.
#[must_use]
pub fn deployments() -> Vec<Deployment> {
    vec![
        Deployment {
            name: "memory",
            is_durable: false,
            tells_expiry: true,
            new_url: || Box::pin(async { Ok("memory:".to_owned()) }),
        },
        Deployment {
            name: "sqlite",
            is_durable: true,
            tells_expiry: true,
            new_url: || {
                Box::pin(async { Ok(format!("sqlite:{}/{}.db", DIRECTORY.path().display(), new_name())) })
            },
        },
        Deployment {
            name: "redis",
            is_durable: true,
            tells_expiry: false,
            new_url: || Box::pin(async { Ok(with_option(&redis_url().await?, "namespace")) }),
        },
        Deployment {
            name: "postgres",
            is_durable: true,
            tells_expiry: true,
            new_url: || Box::pin(async { Ok(with_option(&postgres_url().await?, "table")) }),
        },
        Deployment {
            name: "mysql",
            is_durable: true,
            tells_expiry: true,
            new_url: || Box::pin(async { Ok(with_option(&mysql_url().await?, "table")) }),
        },
        Deployment {
            name: "mongo",
            is_durable: true,
            tells_expiry: true,
            new_url: || Box::pin(async { Ok(in_new_database(&mongo_url().await?)) }),
        },
    ]
}

impl Deployment {
    /// Returns the URL of an empty store that no other URL refers to.
    ///
    /// # Errors
    /// The reason why the server cannot be launched.
    pub async fn new_url(&self) -> Result<String, String> {
        (self.new_url)().await
    }

    /// Returns true if a test must fail when the server is missing.
    #[must_use]
    pub fn is_required(&self) -> bool {
        required(self.name)
    }
}

static DIRECTORY: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a directory"));

/// A name of a namespace, table or database that is new even on a server that outlives this process.
fn new_name() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    static STARTED: LazyLock<u128> =
        LazyLock::new(|| SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis()));
    format!("test_{:x}_{:x}_{}", *STARTED, process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Appends an option whose value is a new name to the URL.
fn with_option(url: &str, option: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{option}={}", new_name())
}

/// Replaces the database of the URL by a new one.
fn in_new_database(url: &str) -> String {
    let (server, options) = url.split_once('?').unwrap_or((url, ""));
    let hosts = server.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    format!("{hosts}/{}?{options}", new_name())
}

/// The runtime of the servers. It outlives the runtimes of the tests. The servers end with the
/// process.
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

async fn redis_url() -> Result<String, String> {
    static SERVER: Launched<Endpoint<Redis>> = OnceCell::const_new();
    launched(&SERVER, redis::endpoint()).await.map(Endpoint::url)
}

async fn postgres_url() -> Result<String, String> {
    static SERVER: Launched<Endpoint<Postgres>> = OnceCell::const_new();
    launched(&SERVER, postgres::endpoint()).await.map(Endpoint::url)
}

async fn mysql_url() -> Result<String, String> {
    static SERVER: Launched<Endpoint<MariaDb>> = OnceCell::const_new();
    launched(&SERVER, mariadb::endpoint()).await.map(Endpoint::url)
}

/// A replica set of one member: a standalone server has no watch.
async fn mongo_url() -> Result<String, String> {
    static SERVER: Launched<MongoReplicaSet> = OnceCell::const_new();
    if let Some(url) = env::var("SESSION_MONGO_URL").ok().filter(|url| !url.is_empty()) {
        return Ok(url);
    }
    let launch = MongoReplicaSet::start(1, &[], Duration::from_secs(2));
    launched(&SERVER, launch).await.map(MongoReplicaSet::url)
}
