use std::fmt;

use mongodb::Client;
use session_backend::Batched;
use session_core::Result;

use crate::{backend::MongoBackend, builder::MongoStoreBuilder};

/// Sessions in MongoDB: a standalone server, a replica set, or a sharded cluster.
///
/// Clones are handles on the same store. The store keeps all promises of
/// [`SessionStore`](session_core::SessionStore), and has an owner index, maintenance and, except on
/// a standalone server, a watch that covers all nodes. The [crate's
/// documentation](crate#what-a-failover-or-a-crash-can-take-back) says what a failover or a crash
/// can undo.
///
/// Must be opened, used and dropped inside a tokio runtime with its timer and I/O enabled.
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
    /// Connects to the servers that `url` names, with defaults for all settings not in the URL.
    ///
    /// The URL is a [connection
    /// string](https://www.mongodb.com/docs/manual/reference/connection-string/) with its usual
    /// options, and with `tls`, `tls_roots`, `tls_cert` and `tls_key` as in all stores. The
    /// database is the one in the path of the URL, or `session`.
    ///
    /// # Errors
    /// * [`Config`](session_core::ErrorKind::Config) for a URL or a setting that cannot be used,
    ///   wrong credentials, a replica set of another name, and an index with wrong options;
    /// * [`Unsupported`](session_core::ErrorKind::Unsupported) for a server older than MongoDB 6.0;
    /// * [`Unavailable`](session_core::ErrorKind::Unavailable) if there is no answer within the
    ///   deadline.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::builder().connect(url).await
    }

    /// Uses an existing client, with this database, and with defaults for all other settings.
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
