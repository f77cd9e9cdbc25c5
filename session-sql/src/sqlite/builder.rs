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
    checkpoint::{self, Checkpoints},
    connections::{Connections, Options},
    core::Core,
    errors::{config, failed},
    purge,
    registry::Shared,
    schema,
    settings::{MAX_MAX_DATA_LEN, Place, Settings, Synchronous},
    statements::{FILE, Statements},
    store::{SqliteBackend, SqliteStore},
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
    /// The table that holds the sessions, which keeps them apart from those of other stores in the database. `sessions` unless set.
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = Some(name.into());
        self
    }

    /// What a crash of the operating system may take back. [`Synchronous::Normal`] unless set.
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.settings.synchronous = synchronous;
        self
    }

    /// How many connections read beside the one that writes, 1 to 64. Four unless set.
    pub fn readers(mut self, connections: usize) -> Self {
        self.settings.readers = connections.clamp(1, 64);
        self
    }

    /// How long an operation may take, waiting included, before its caller is told
    /// [`Unavailable`](session_core::ErrorKind::Unavailable); other processes' locks are waited for three quarters of that. Five seconds
    /// unless set; 10 milliseconds is the least, and zero is refused when the store is opened.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = deadline;
        self
    }

    /// The longest data of one session, in bytes. 1 MiB unless set; zero is for the most that SQLite takes, 900 MB.
    pub fn max_data_len(mut self, bytes: usize) -> Self {
        self.settings.max_data_len = if bytes == 0 { MAX_MAX_DATA_LEN } else { bytes.min(MAX_MAX_DATA_LEN) };
        self
    }

    /// How concurrent operations are gathered, or `None` for each by itself. [`BatchSettings::default`] unless set.
    pub fn batching(mut self, settings: Option<BatchSettings>) -> Self {
        self.settings.batching = settings;
        self
    }

    /// About how long expired sessions may take up space, and their expiry go unreported; `None` and zero leave the purging to others. 30
    /// seconds unless set. Expired sessions are invisible at once, whatever is set here.
    pub fn purge_interval(mut self, interval: Option<Duration>) -> Self {
        self.settings.purge_interval = deadline::interval(interval);
        self
    }

    /// How many events a listener may be behind before it is told that it has missed some. 4,096 unless set; from one to 16 million.
    /// The first store of a process that opens a table decides for all.
    pub fn watch_capacity(mut self, events: usize) -> Self {
        self.settings.watch_capacity = events.clamp(1, 1 << 24);
        self
    }

    /// After how many pages (of 4 KiB) in the write-ahead log they are moved to the database file, beside what is read and written. 8,000 unless set, which
    /// is 32 MB: more makes opening after a crash slower. With zero, they are only moved when the database is closed.
    pub fn wal_autocheckpoint(mut self, pages: u32) -> Self {
        self.settings.wal_autocheckpoint = pages;
        self
    }

    /// How much of the database each connection may keep in memory, in KiB. 16 MiB unless set.
    pub fn cache_kib(mut self, kib: u32) -> Self {
        self.settings.cache_kib = kib;
        self
    }

    /// How much of the database file readers see through a memory map, in bytes; zero for none. 1 GiB unless set, and address space only, not memory. It doubles
    /// what reading achieves. Its price: a disk that fails to deliver a mapped page ends the process with `SIGBUS` instead of giving an error
    /// (<https://sqlite.org/mmap.html>).
    pub fn mmap_size(mut self, bytes: u64) -> Self {
        self.settings.mmap_size = bytes.min(i64::MAX.unsigned_abs());
        self
    }

    /// Opens the database that `url` names. The options of the URL overrule what was set before.
    ///
    /// # Errors
    /// Those of [`SqliteStore::connect`].
    pub async fn connect(self, url: &str) -> Result<SqliteStore> {
        let mut builder = self;
        let place = url::parse(url, &mut builder)?;
        builder.open_place(place).await
    }

    /// Opens the database in this file, and creates it if it is not there.
    ///
    /// # Errors
    /// Those of [`SqliteStore::connect`].
    pub async fn open(self, path: impl AsRef<Path>) -> Result<SqliteStore> {
        self.open_place(Place::File { path: path.as_ref().to_owned(), create: true }).await
    }

    /// Uses the database of a pool that the application has already, whose settings stay: those of connections set here count for nothing.
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

/// Says more than SQLite would.
fn check_path(path: &Path) -> Result<()> {
    // Without the path, in which a password can stand that was meant for a server.
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

/// What this store shares with others of this process on the same table.
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
    // What waits for its turn has no more time than what was sent.
    let batching = settings.batching.unwrap_or_else(BatchSettings::disabled).deadline(settings.deadline);
    Ok(SqliteStore { gathered: Batched::new(backend, batching)? })
}
