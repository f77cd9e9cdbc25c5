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
use session_redis::RedisStore;
use session_sql::SqliteStore;
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
            url: || Box::pin(async { Ok(format!("{}/?namespace=test:{}", servers::redis().await?, next())) }),
            connect: |url| Box::pin(async move { opened(RedisStore::connect(&url).await) }),
        },
    ]
}

static DIRECTORY: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a directory"));

/// A name that no other store has, also on a server that outlives this process.
fn next() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    static BEGUN: LazyLock<u128> =
        LazyLock::new(|| SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis()));
    format!("{:x}-{:x}-{}", *BEGUN, process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
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
