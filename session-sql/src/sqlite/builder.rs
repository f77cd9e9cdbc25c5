use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use session_backend::{BatchSettings, Batched};
use session_core::{Error, Operation, Result};
use sqlx::{SqliteConnection, SqlitePool};
use tokio::{sync::watch, time::timeout};

use super::{
    backend::SqliteBackend,
    checkpoint::{self, Checkpoints},
    connections::{Connections, Options},
    core::Core,
    errors::{config, failed},
    purge,
    registry::Shared,
    schema,
    settings::{MAX_MAX_DATA_LEN, Place, Settings, Synchronous},
    statements::{FILE, Statements},
    store::SqliteStore,
    url,
};
use crate::{deadline, table::Table};

/// The settings of a [`SqliteStore`], made by [`SqliteStore::builder`].
#[derive(Clone, Debug, Default)]
#[must_use = "settings do nothing until the store is opened"]
pub struct SqliteStoreBuilder {
    settings: Settings,
    table: Option<String>,
}

impl SqliteStoreBuilder {
    /// The table that holds the sessions, which separates them from those of other stores in the
    /// database. Default: `sessions`.
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = Some(name.into());
        self
    }

    /// What a crash of the operating system may take back. Default: [`Synchronous::Normal`].
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.settings.synchronous = synchronous;
        self
    }

    /// How many connections read in addition to the one that writes, 1 to 64. Default: 4.
    pub fn readers(mut self, connections: usize) -> Self {
        self.settings.readers = connections.clamp(1, 64);
        self
    }

    /// How long an operation may take, including waiting, before its caller gets
    /// [`Unavailable`](session_core::ErrorKind::Unavailable). Default: 5 s.
    ///
    /// The minimum is 10 ms, and zero is refused when the store is opened. An operation waits at
    /// most three quarters of the deadline for locks of other processes.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = deadline;
        self
    }

    /// The maximum data length of one session, in bytes. Default: 1 MiB. Zero means the maximum
    /// that SQLite takes, 900 MB.
    pub fn max_data_len(mut self, bytes: usize) -> Self {
        self.settings.max_data_len = if bytes == 0 { MAX_MAX_DATA_LEN } else { bytes.min(MAX_MAX_DATA_LEN) };
        self
    }

    /// How concurrent operations are batched; `None` sends each by itself. Default:
    /// [`BatchSettings::default`].
    pub fn batching(mut self, settings: Option<BatchSettings>) -> Self {
        self.settings.batching = settings;
        self
    }

    /// The approximate interval between two purges of expired sessions. Default: 30 s.
    ///
    /// Until it is purged, an expired session takes up space, and its expiry is not reported. It is
    /// invisible at once, whatever is set here. `None` and zero leave the purging to other stores.
    pub fn purge_interval(mut self, interval: Option<Duration>) -> Self {
        self.settings.purge_interval = deadline::interval(interval);
        self
    }

    /// How many events a listener may be behind before it is told that it has missed some.
    /// Default: 4,096; from one to 16 million.
    ///
    /// The first store of a process that opens a table decides for all stores on that table.
    pub fn watch_capacity(mut self, events: usize) -> Self {
        self.settings.watch_capacity = events.clamp(1, 1 << 24);
        self
    }

    /// How many pages (of 4 KiB) may be in the write-ahead log before they are moved to the
    /// database file. Default: 8,000, which is 32 MB.
    ///
    /// Reads and writes go on in the meantime. A larger value makes opening after a crash slower.
    /// With zero, the pages are only moved when the database is closed.
    pub fn wal_autocheckpoint(mut self, pages: u32) -> Self {
        self.settings.wal_autocheckpoint = pages;
        self
    }

    /// How much of the database each connection may keep in memory, in KiB. Default: 16 MiB.
    pub fn cache_kib(mut self, kib: u32) -> Self {
        self.settings.cache_kib = kib;
        self
    }

    /// How much of the database file readers see through a memory map, in bytes; zero for none.
    /// Default: 1 GiB.
    ///
    /// The map takes address space only, not memory, and doubles the read throughput. Its price: a
    /// disk that fails to deliver a mapped page ends the process with `SIGBUS` instead of giving an
    /// error (<https://sqlite.org/mmap.html>).
    pub fn mmap_size(mut self, bytes: u64) -> Self {
        self.settings.mmap_size = bytes.min(i64::MAX.unsigned_abs());
        self
    }

    /// Opens the database that `url` names. The options of the URL override earlier settings.
    ///
    /// # Errors
    /// Those of [`SqliteStore::connect`].
    pub async fn connect(self, url: &str) -> Result<SqliteStore> {
        let mut builder = self;
        let place = url::parse(url, &mut builder)?;
        builder.open_place(place).await
    }

    /// Opens the database in this file, and creates it if it does not exist.
    ///
    /// # Errors
    /// Those of [`SqliteStore::connect`].
    pub async fn open(self, path: impl AsRef<Path>) -> Result<SqliteStore> {
        self.open_place(Place::File { path: path.as_ref().to_owned(), create: true }).await
    }

    /// Uses the database of an existing pool, which keeps its settings: the connection settings of
    /// this builder have no effect.
    ///
    /// # Errors
    /// Those of [`SqliteStore::connect`].
    pub async fn from_pool(self, pool: SqlitePool) -> Result<SqliteStore> {
        let settings = self.checked()?;
        let deadline = settings.deadline;
        within(deadline, async {
            let broken = |error| failed(Operation::Connect, error);
            let mut connection = pool.acquire().await.map_err(broken)?;
            let statements = Statements::new(&settings.table);
            let utf8 = schema::prepare(&mut connection, &settings.table, &statements, None).await?;
            let shared = share(&mut connection, &settings).await?;
            drop(connection);
            start(&settings, statements, utf8, Connections::Pool(pool), shared)
        })
        .await
    }

    async fn open_place(self, place: Place) -> Result<SqliteStore> {
        let settings = self.checked()?;
        if let Place::File { path, .. } = &place {
            check_path(path)?;
        }
        let deadline = settings.deadline;
        within(deadline, async {
            let options = Options::new(&place, &settings);
            let mut connection = options.open().await?;
            let statements = Statements::new(&settings.table);
            let in_file = place != Place::Memory;
            let use_wal = in_file.then_some(settings.deadline);
            let utf8 = schema::prepare(&mut connection, &settings.table, &statements, use_wal).await?;
            let shared = share(&mut connection, &settings).await?;
            let connections = if in_file {
                Connections::file(connection, settings.readers, options)
            } else {
                Connections::memory(connection)
            };
            start(&settings, statements, utf8, connections, shared)
        })
        .await
    }

    fn checked(self) -> Result<Settings> {
        let Self { mut settings, table } = self;
        settings.deadline = deadline::checked(settings.deadline)?;
        if let Some(table) = table {
            settings.table = Table::new(&table)?;
        }
        Ok(settings)
    }
}

async fn within<T>(deadline: Duration, opening: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(deadline, opening).await.unwrap_or_else(|_| {
        Err(Error::unavailable(Operation::Connect, false).because("there was no answer within the deadline"))
    })
}

/// Checks the path, to give better errors than SQLite.
fn check_path(path: &Path) -> Result<()> {
    // The error omits the path, which may hold a password that was meant for a server.
    if path.to_str().is_none_or(|path| path.starts_with("file:")) {
        return Err(config(
            "the database is not named by a plain path; `sqlite:` takes one, and its options after a `?`",
        ));
    }
    if path.is_dir() {
        return Err(config("the path of the database is a directory, and the database is a file"));
    }
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    if let Some(parent) = parent
        && !parent.is_dir()
    {
        return Err(config("there is no directory for the file of the database; make it first"));
    }
    Ok(())
}

/// What this store shares with the other stores of this process on the same table.
async fn share(connection: &mut SqliteConnection, settings: &Settings) -> Result<Shared> {
    let file: Option<String> = sqlx::query_scalar(FILE)
        .fetch_one(connection)
        .await
        .map_err(|error| failed(Operation::Connect, error))?;
    Ok(match file.filter(|file| !file.is_empty()) {
        Some(file) => Shared::of(&PathBuf::from(file), &settings.table, settings.watch_capacity),
        None => Shared::alone(settings.watch_capacity),
    })
}

fn start(
    settings: &Settings,
    statements: Statements,
    utf8: bool,
    connections: Connections,
    shared: Shared,
) -> Result<SqliteStore> {
    let has_mover = matches!(connections, Connections::File { .. });
    let pages = if has_mover { settings.wal_autocheckpoint as usize } else { 0 };
    let core = Arc::new(Core {
        connections,
        statements,
        shared,
        checkpoints: Arc::new(Checkpoints::every(pages)),
        utf8,
        closed: watch::Sender::new(false),
        deadline: settings.deadline,
        max_data_len: settings.max_data_len,
    });
    checkpoint::start(&core);
    if let Some(interval) = settings.purge_interval {
        purge::start(&core, interval);
    }
    let backend = SqliteBackend(core);
    // A queued operation has no more time than one that was sent.
    let batching = settings.batching.unwrap_or_else(BatchSettings::disabled).deadline(settings.deadline);
    Ok(SqliteStore { gathered: Batched::new(backend, batching)? })
}
