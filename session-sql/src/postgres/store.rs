use session_backend::Batched;
use session_core::{Record, Result, SessionKey, SessionStore as _};
use sqlx::PgPool;

use super::{builder::PostgresStoreBuilder, dialect::Postgres};
use crate::server::SqlBackend;

/// Sessions in a table of a `PostgreSQL` database.
///
/// Clones are handles to the same store. The store keeps all promises of
/// [`SessionStore`](session_core::SessionStore), and has an owner index, maintenance and a watch
/// that hears all processes. For what a crash can take back, see the [crate's
/// documentation](crate#what-a-crash-can-take-back).
///
/// The store must be opened, used and dropped inside a tokio runtime. A change that has been sent
/// goes on even if its caller is dropped or has been told
/// [`Unavailable`](session_core::ErrorKind::Unavailable) with `may_have_applied`.
///
/// ```no_run
/// use session_core::{Result, SessionStore};
/// use session_sql::{PostgresStore, SynchronousCommit};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let builder = PostgresStore::builder().table("web").synchronous_commit(SynchronousCommit::Off);
/// let store = builder.connect("postgres://app:secret@db.example/app").await?;
/// store.ping().await?;
/// store.close().await
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PostgresStore {
    pub(super) gathered: Batched<SqlBackend<Postgres>>,
    /// The same, except that reads may come from the replica.
    pub(super) stale: Batched<SqlBackend<Postgres>>,
}

impl PostgresStore {
    /// Connects to the database that `url` names, with the defaults for everything that `url` does
    /// not set: `postgres://user:password@host:5432/database?table=web`. For the options of a URL,
    /// see the [crate's documentation](crate#settings).
    ///
    /// # Errors
    /// * [`Config`](session_core::ErrorKind::Config) for a URL or a setting that is not understood,
    ///   a refused login, missing rights, a table that this crate did not make, and a table that is
    ///   missing while `migrate` is off.
    /// * [`Unsupported`](session_core::ErrorKind::Unsupported) for a table made by a newer release,
    ///   and for a server older than 12.
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
    pub async fn from_pool(pool: PgPool) -> Result<Self> {
        Self::builder().from_pool(pool).await
    }

    /// The live record under `key` as the [replica](PostgresStoreBuilder::replica) shows it, for
    /// pages that show and do not decide.
    ///
    /// The record may be stale by the `max_lag` that was set there. Without a replica, this is
    /// [`read`](session_core::SessionStore::read).
    ///
    /// # Errors
    /// Those of [`read`](session_core::SessionStore::read). A replica that fails is not an error:
    /// the primary is read instead.
    pub async fn read_stale(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.stale.read(key).await
    }

    /// Settings for a store.
    pub fn builder() -> PostgresStoreBuilder {
        PostgresStoreBuilder::default()
    }
}

session_backend::forward!(PostgresStore, gathered);
