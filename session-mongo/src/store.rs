use mongodb::Client;
use session_batch::Batched;
use session_core::{
    DeleteItem, DeleteOutcome, Expected, Maintenance, OwnerIndex, Record, RenameOutcome, Result, SessionKey,
    SessionStore, TouchItem, Ttl, Version, Watch, When, Write, WriteItem, WriteOutcome, async_trait,
};

use crate::{builder::MongoStoreBuilder, direct::Direct};

/// Sessions in MongoDB: a standalone server, a replica set, or a sharded cluster.
///
/// Clones are handles on the same store. Keeps all promises of [`SessionStore`], and has an owner index, maintenance and, except on a standalone
/// server, a watch that hears all nodes. What a failover or a crash can take back is in the
/// [crate's documentation](crate#what-a-failover-or-a-crash-can-take-back).
///
/// Must be opened, used and dropped inside of a tokio runtime whose timer and input are enabled.
///
/// ```no_run
/// use std::time::Duration;
/// use session_core::{Result, SessionStore};
/// use session_mongo::MongoStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let store = MongoStore::builder()
///     .database("shop")
///     .deadline(Duration::from_secs(2))
///     .connect("mongodb://db1.example,db2.example/?replicaSet=rs0")
///     .await?;
/// store.ping().await?;
/// store.close().await
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MongoStore {
    pub(crate) store: Batched<Direct>,
}

impl MongoStore {
    /// Connects to what `url` names, a [connection string](https://www.mongodb.com/docs/manual/reference/connection-string/) with any of the
    /// driver's options, and uses the defaults for everything that it does not say. The database is the one in its path, or `session`.
    ///
    /// # Errors
    /// * [`Config`](session_core::ErrorKind::Config) for a URL or a setting that cannot be used, wrong credentials, a replica set of another
    ///   name, and an index that has other options than it must have;
    /// * [`Unsupported`](session_core::ErrorKind::Unsupported) for a server older than MongoDB 6.0;
    /// * [`Unavailable`](session_core::ErrorKind::Unavailable) if there is no answer within the deadline.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::builder().connect(url).await
    }

    /// Uses a client that is there already, in this database and with the defaults for everything else.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect).
    pub async fn with_client(client: Client, database: &str) -> Result<Self> {
        Self::builder().database(database).with_client(client).await
    }

    /// Settings for a store.
    pub fn builder() -> MongoStoreBuilder {
        MongoStoreBuilder::default()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for MongoStore {
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
