use std::fmt;

use mongodb::Client;
use session_backend::Batched;
use session_core::Result;

use crate::{builder::MongoStoreBuilder, backend::MongoBackend};

/// Sessions in MongoDB: a standalone server, a replica set, or a sharded cluster.
///
/// Clones are handles on the same store. Keeps all promises of [`SessionStore`](session_core::SessionStore), and has an owner index, maintenance and, except on a standalone
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
#[derive(Clone)]
pub struct MongoStore {
    pub(crate) store: Batched<MongoBackend>,
}

impl MongoStore {
    /// Connects to what `url` names, a [connection
    /// string](https://www.mongodb.com/docs/manual/reference/connection-string/) with the options
    /// that it may have, and `tls`, `tls_roots`, `tls_cert` and `tls_key` as all stores have them,
    /// and uses the defaults for everything that it does not say. The database is the one in its
    /// path, or `session`.
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

impl fmt::Debug for MongoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.get_ref().fmt(f)
    }
}

session_backend::forward!(MongoStore, store);
