use session_backend::Batched;
use session_core::{EventStream, Operation, Result, Watch, async_trait};
use sqlx::MySqlPool;

use super::{builder::MySqlStoreBuilder, dialect::MySql};
use crate::server::{SqlBackend, closed};

/// Sessions in a table of a `MySQL` or `MariaDB` database.
///
/// Clones are handles to the same store. The store keeps all promises of
/// [`SessionStore`](session_core::SessionStore), and has an owner index, maintenance and a watch
/// that hears all stores of this process. For what a crash can take back, see the [crate's
/// documentation](crate#what-a-crash-can-take-back).
///
/// The store must be opened, used and dropped inside a tokio runtime. A change that has been sent
/// goes on even if its caller is dropped or has been told
/// [`Unavailable`](session_core::ErrorKind::Unavailable) with `may_have_applied`.
///
/// ```no_run
/// use session_core::{Result, SessionStore};
/// use session_sql::MySqlStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let store = MySqlStore::builder().table("web").connect("mysql://app:secret@db.example/app").await?;
/// store.ping().await?;
/// store.close().await
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MySqlStore {
    pub(super) gathered: Batched<SqlBackend<MySql>>,
}

impl MySqlStore {
    /// Connects to the database that `url` names, with the defaults for everything that `url` does
    /// not set: `mysql://user:password@host:3306/database?table=web`. For the options of a URL, see
    /// the [crate's documentation](crate#settings).
    ///
    /// # Errors
    /// * [`Config`](session_core::ErrorKind::Config) for a URL or a setting that is not understood,
    ///   a refused login, missing rights, a table that this crate did not make, and a table that is
    ///   missing while `migrate` is off.
    /// * [`Unsupported`](session_core::ErrorKind::Unsupported) for a table made by a newer release,
    ///   and for a server older than `MariaDB` 10.6 or `MySQL` 8.0.
    /// * [`Unavailable`](session_core::ErrorKind::Unavailable) if the server does not answer, or
    ///   only reads.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::builder().connect(url).await
    }

    /// Uses the connections of an existing pool, with the defaults for everything else.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect), and [`Config`](session_core::ErrorKind::Config) if the
    /// pool's connections have settings that the store cannot work with.
    pub async fn from_pool(pool: MySqlPool) -> Result<Self> {
        Self::builder().from_pool(pool).await
    }

    /// Settings for a store.
    pub fn builder() -> MySqlStoreBuilder {
        MySqlStoreBuilder::default()
    }
}

session_backend::forward!(MySqlStore, gathered);

#[async_trait]
impl Watch for SqlBackend<MySql> {
    async fn subscribe(&self) -> Result<EventStream> {
        let core = &self.core;
        if *core.closed.borrow() {
            return Err(closed(Operation::Watch));
        }
        Ok(core.dialect.events.subscribe(core.closed.subscribe()))
    }

    /// Always false: the server does not report what other processes change.
    fn hears_all_nodes(&self) -> bool {
        false
    }
}
