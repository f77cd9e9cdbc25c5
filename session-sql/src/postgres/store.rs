use session_backend::Batched;
use session_core::{Record, Result, SessionKey, SessionStore as _};
use sqlx::PgPool;

use super::{builder::PostgresStoreBuilder, dialect::Postgres};
use crate::server::SqlBackend;

/// Sessions in a table of a `PostgreSQL` database.
///
/// Clones are handles on the same store. Keeps all promises of [`SessionStore`](session_core::SessionStore), and has an owner index, maintenance and a watch that hears all
/// processes. What a crash can take back is in the [crate's documentation](crate#what-a-crash-can-take-back).
///
/// Must be opened, used and dropped inside of a tokio runtime. A change that has been sent goes on even if its caller is dropped or has
/// been told [`Unavailable`](session_core::ErrorKind::Unavailable) with `may_have_applied`.
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
    /// The same, but for reads that may come from the replica.
    pub(super) stale: Batched<SqlBackend<Postgres>>,
}

impl PostgresStore {
    /// Connects to the database that `url` names, with the defaults for everything that `url` does not say:
    /// `postgres://user:password@host:5432/database?table=web`. What can stand in it is in the [crate's documentation](crate#settings).
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config) for a URL or a setting that is not understood, a refused login, missing rights, and a
    /// table that is somebody else's or missing while `migrate` is off; [`Unsupported`](session_core::ErrorKind::Unsupported) for a table made by a newer release, and for
    /// a server older than 12; [`Unavailable`](session_core::ErrorKind::Unavailable) if the server does not answer, or only reads.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::builder().connect(url).await
    }

    /// Uses the connections of a pool that the application has already, with the defaults for everything else.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect), and [`Config`](session_core::ErrorKind::Config) if the pool's connections have settings that the store cannot work with.
    pub async fn from_pool(pool: PgPool) -> Result<Self> {
        Self::builder().from_pool(pool).await
    }

    /// The live record under `key` as the [replica](PostgresStoreBuilder::replica) shows it, which may be stale by the `max_lag` that was set there: for
    /// pages that show and do not decide. Without a replica, this is [`read`](session_core::SessionStore::read).
    ///
    /// # Errors
    /// Those of [`read`](session_core::SessionStore::read). A replica that fails is none: the primary is read instead.
    pub async fn read_stale(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.stale.read(key).await
    }

    /// Settings for a store.
    pub fn builder() -> PostgresStoreBuilder {
        PostgresStoreBuilder::default()
    }
}

session_backend::forward!(PostgresStore, gathered);
