use session_backend::Batched;
use session_core::Result;

use crate::{backend::RedisBackend, builder::RedisStoreBuilder};

/// Sessions in Redis or Valkey: one server, the primary that sentinels monitor, or a cluster.
///
/// Clones are handles on the same store. The store keeps all promises of
/// [`SessionStore`](session_core::SessionStore), and has an owner index, maintenance and a watch
/// that covers all nodes. The [crate's
/// documentation](crate#what-a-failover-or-a-crash-can-take-back) says what a failover or a crash
/// can undo.
///
/// Must be opened, used and dropped inside a tokio runtime with its timer and I/O enabled.
///
/// ```no_run
/// use std::time::Duration;
/// use session_core::{Result, SessionStore};
/// use session_redis::RedisStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let store = RedisStore::builder().namespace("web").deadline(Duration::from_secs(2)).connect("redis://127.0.0.1").await?;
/// store.ping().await?;
/// store.close().await
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RedisStore {
    pub(crate) store: Batched<RedisBackend>,
}

impl RedisStore {
    /// Connects to the servers that `url` names, with defaults for all settings not in the URL.
    ///
    /// | URL | what it names |
    /// | --- | --- |
    /// | `redis://user:password@host:6379/0` | one server; user, password, port and database may be left out |
    /// | `rediss://host` | the same with TLS |
    /// | `redis+unix:///run/redis.sock?db=0&user=web&password=secret` | one server on this machine |
    /// | `redis+sentinel://host1,host2:26379/service/0` | the primary of a service, by its sentinels |
    /// | `redis+cluster://host1:7000,host2:7000` | a cluster, by some of its nodes |
    ///
    /// `rediss+sentinel` and `rediss+cluster` use TLS. `valkey` and `valkeys` are other names of
    /// `redis` and `rediss`. The options after a `?` are in the [crate's
    /// documentation](crate#settings).
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config) for a URL or a setting that is not understood, a
    /// wrong password or database, and a server that does not speak the protocol expected;
    /// [`Unsupported`](session_core::ErrorKind::Unsupported) for a server older than Redis 7;
    /// [`Unavailable`](session_core::ErrorKind::Unavailable) if there is no connection within the
    /// deadline, or the server is a replica.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::builder().connect(url).await
    }

    /// Settings for a store.
    pub fn builder() -> RedisStoreBuilder {
        RedisStoreBuilder::default()
    }
}

session_backend::forward!(RedisStore, store);
