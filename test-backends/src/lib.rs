#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod servers;

use std::{
    pin::Pin,
    process,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use session_core::SessionStore;
use session_memory::MemoryStore;
use session_mongo::MongoStore;
use session_redis::RedisStore;
use session_sql::{MySqlStore, PostgresStore, SqliteStore};
use tempfile::TempDir;

type Opened = Result<Arc<dyn SessionStore>, String>;
type Soon<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A kind of store, or why it is not there.
#[derive(Clone, Copy, Debug)]
pub struct Backend {
    /// Its name in the names of tests. That of a server is also the word for it in `SESSION_REQUIRE`.
    pub name: &'static str,
    /// Whether it outlives the process that opened it.
    pub is_durable: bool,
    /// Whether its watch tells an expiry from other changes.
    pub tells_expiry: bool,
    url: fn() -> Soon<Result<String, String>>,
    connect: fn(String) -> Soon<Opened>,
}

/// All of them.
#[must_use]
pub fn all() -> Vec<Backend> {
    vec![
        Backend {
            name: "memory",
            is_durable: false,
            tells_expiry: true,
            url: || Box::pin(async { Ok("memory:".to_owned()) }),
            connect: |_| Box::pin(async { Ok(Arc::new(MemoryStore::new()) as _) }),
        },
        Backend {
            name: "sqlite",
            is_durable: true,
            tells_expiry: true,
            url: || Box::pin(async { Ok(format!("sqlite:{}/{}.db", DIRECTORY.path().display(), next())) }),
            connect: |url| Box::pin(async move { opened(SqliteStore::connect(&url).await) }),
        },
        Backend {
            name: "redis",
            is_durable: true,
            tells_expiry: false,
            url: || Box::pin(async { Ok(with_option(&servers::redis().await?, "namespace", &next())) }),
            connect: |url| Box::pin(async move { opened(RedisStore::connect(&url).await) }),
        },
        Backend {
            name: "postgres",
            is_durable: true,
            tells_expiry: true,
            url: || Box::pin(async { Ok(with_option(&servers::postgres().await?, "table", &next())) }),
            connect: |url| Box::pin(async move { opened(PostgresStore::connect(&url).await) }),
        },
        Backend {
            name: "mysql",
            is_durable: true,
            tells_expiry: true,
            url: || Box::pin(async { Ok(with_option(&servers::mysql().await?, "table", &next())) }),
            connect: |url| Box::pin(async move { opened(MySqlStore::connect(&url).await) }),
        },
        Backend {
            name: "mongo",
            is_durable: true,
            tells_expiry: true,
            url: || Box::pin(async { Ok(in_database(&servers::mongo().await?, &next())) }),
            connect: |url| Box::pin(async move { opened(MongoStore::connect(&url).await) }),
        },
    ]
}

static DIRECTORY: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a directory"));

/// A name that no other store has, also on a server that outlives this process: of a namespace, a table or a database.
fn next() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    static BEGUN: LazyLock<u128> =
        LazyLock::new(|| SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis()));
    format!("test_{:x}_{:x}_{}", *BEGUN, process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn with_option(url: &str, name: &str, value: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{name}={value}")
}

/// The same server, but another database.
fn in_database(url: &str, name: &str) -> String {
    let (server, options) = url.split_once('?').unwrap_or((url, ""));
    let hosts = server.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    format!("{hosts}/{name}?{options}")
}

fn opened<S: SessionStore + 'static>(store: session_core::Result<S>) -> Opened {
    store.map(|store| Arc::new(store) as _).map_err(|error| error.to_string())
}

impl Backend {
    /// The URL of a store that nobody else has.
    ///
    /// # Errors
    /// Why its server is not there.
    pub async fn url(&self) -> Result<String, String> {
        (self.url)().await
    }

    /// A store that nobody else has, with nothing in it.
    ///
    /// # Errors
    /// Why its server is not there, or what the store said.
    pub async fn open(&self) -> Result<Arc<dyn SessionStore>, String> {
        (self.connect)(self.url().await?).await
    }

    /// Whether a test must fail without it.
    #[must_use]
    pub fn is_required(&self) -> bool {
        session_servers::required(self.name)
    }
}
