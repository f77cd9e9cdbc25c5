use session_batch::Batched;
use session_core::{
    DeleteItem, DeleteOutcome, Expected, Maintenance, OwnerIndex, Record, RenameOutcome, Result, SessionKey,
    SessionStore, TouchItem, Ttl, Version, Watch, When, Write, WriteItem, WriteOutcome, async_trait,
};

use crate::{builder::RedisStoreBuilder, direct::Direct};

/// Sessions in Redis or Valkey: one server, the primary that sentinels look after, or a cluster.
///
/// Clones are handles on the same store. Keeps all promises of [`SessionStore`], and has an owner index, maintenance and a watch that hears all
/// nodes. What a failover or a crash can take back is in the [crate's documentation](crate#what-a-failover-or-a-crash-can-take-back).
///
/// Must be opened, used and dropped inside of a tokio runtime whose timer and input are enabled.
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
    pub(crate) store: Batched<Direct>,
}

impl RedisStore {
    /// Connects to what `url` names, with the defaults for everything that it does not say.
    ///
    /// | URL | what it names |
    /// | --- | --- |
    /// | `redis://user:password@host:6379/0` | one server; user, password, port and database may be left out |
    /// | `rediss://host` | the same with TLS |
    /// | `redis+unix:///run/redis.sock?db=0&user=web&password=secret` | one server on this machine |
    /// | `redis+sentinel://host1,host2:26379/service/0` | the primary of a service, by its sentinels |
    /// | `redis+cluster://host1:7000,host2:7000` | a cluster, by some of its nodes |
    ///
    /// `rediss+sentinel` and `rediss+cluster` use TLS. The options after a `?` are in the [crate's documentation](crate#settings).
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config) for a URL or a setting that is not understood, a wrong password or database, and a server
    /// that does not speak the protocol expected; [`Unsupported`](session_core::ErrorKind::Unsupported) for a server older than Redis 7;
    /// [`Unavailable`](session_core::ErrorKind::Unavailable) if there is no connection within the deadline.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::builder().connect(url).await
    }

    /// Settings for a store.
    pub fn builder() -> RedisStoreBuilder {
        RedisStoreBuilder::default()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for RedisStore {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.store.read(key).await
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        self.store.write(key, write, when).await
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        self.store.touch(key, ttl).await
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        self.store.delete(key, expected).await
    }

    async fn rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        self.store.rename(old, new, write, expected).await
    }

    async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        self.store.read_many(keys).await
    }

    async fn write_many(&self, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        self.store.write_many(items).await
    }

    async fn touch_many(&self, items: &[TouchItem]) -> Vec<Result<bool>> {
        self.store.touch_many(items).await
    }

    async fn delete_many(&self, items: &[DeleteItem]) -> Vec<Result<DeleteOutcome>> {
        self.store.delete_many(items).await
    }

    async fn ping(&self) -> Result<()> {
        self.store.ping().await
    }

    async fn close(&self) -> Result<()> {
        self.store.close().await
    }

    fn max_data_len(&self) -> usize {
        self.store.max_data_len()
    }

    fn owners(&self) -> Option<&dyn OwnerIndex> {
        self.store.owners()
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        self.store.maintenance()
    }

    fn watch(&self) -> Option<&dyn Watch> {
        self.store.watch()
    }
}
