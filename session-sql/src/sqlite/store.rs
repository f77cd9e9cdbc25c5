use session_backend::Batched;
use session_core::Result;
use sqlx::SqlitePool;

use super::{backend::SqliteBackend, builder::SqliteStoreBuilder};

/// Sessions in a table of an SQLite database.
///
/// Clones are handles to the same store. The store keeps all promises of [`SessionStore`](session_core::SessionStore), and has
/// an owner index, maintenance and a watch that hears all stores of this process. For what a crash
/// can take back, see the [crate's documentation](crate#what-a-crash-can-take-back).
///
/// The store must be opened, used and dropped inside a tokio runtime. A change that has been sent
/// goes on even if its caller is dropped or has been told
/// [`Unavailable`](session_core::ErrorKind::Unavailable) with `may_have_applied`.
///
/// ```
/// use session_core::{Result, SessionStore};
/// use session_sql::{SqliteStore, Synchronous};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// # let directory = tempfile::tempdir().expect("a directory");
/// # let path = directory.path().join("app.db");
/// let store = SqliteStore::builder().table("web").synchronous(Synchronous::Full).open(path).await?;
/// store.ping().await?;
/// store.close().await
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SqliteStore {
    pub(crate) gathered: Batched<SqliteBackend>,
}

impl SqliteStore {
    /// Opens the database that `url` names, with the defaults for everything that `url` does not
    /// set: `sqlite:app.db`, `sqlite:///var/lib/app.db?synchronous=full`, `sqlite::memory:`.
    ///
    /// # Errors
    /// * [`Config`](session_core::ErrorKind::Config) for a URL or a setting that is not understood,
    ///   a file that cannot be opened, created or written to, and a table that this crate did not
    ///   make.
    /// * [`Corrupt`](session_core::ErrorKind::Corrupt) for a file that is not a database.
    /// * [`Unsupported`](session_core::ErrorKind::Unsupported) for a table made by a newer release,
    ///   and for an SQLite older than 3.42.
    /// * [`Unavailable`](session_core::ErrorKind::Unavailable) if other processes keep the database
    ///   locked.
    ///
    /// Nothing is changed then.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::builder().connect(url).await
    }

    /// Uses the database of an existing pool, with the defaults. The pool keeps its settings, and
    /// is not closed with the store.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect).
    pub async fn from_pool(pool: SqlitePool) -> Result<Self> {
        Self::builder().from_pool(pool).await
    }

    /// Settings for a store.
    pub fn builder() -> SqliteStoreBuilder {
        SqliteStoreBuilder::default()
    }
}

session_backend::forward!(SqliteStore, gathered);
