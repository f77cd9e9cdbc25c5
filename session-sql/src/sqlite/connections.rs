use std::{fmt, sync::Arc, time::Duration};

use session_core::{Error, ErrorKind, Operation, Result};
use sqlx::{
    ConnectOptions, Connection, SqlStr, Sqlite, SqliteConnection, SqlitePool,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteRow},
};
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use super::{
    binds::Fields,
    errors::{closed, failed, is_fatal},
    settings::{Place, Settings},
};
use crate::chunk::MAX_ITEMS;

/// A slot for a connection, which is opened on first use, and again if it breaks.
type Slot = Arc<Mutex<Option<SqliteConnection>>>;

/// The connections to the database.
pub(crate) enum Connections {
    /// One connection writes, several read, and one moves the write-ahead log.
    File { writer: Slot, readers: Vec<Slot>, free: Arc<Semaphore>, mover: Slot, options: Box<Options> },
    /// A database in memory belongs to its connection.
    Memory { only: Slot },
    /// A pool that belongs to the application.
    Pool(SqlitePool),
}

pub(crate) struct Options {
    writer: SqliteConnectOptions,
    reader: SqliteConnectOptions,
    mover: SqliteConnectOptions,
}

/// A connection in use by one operation.
pub(crate) enum Lease {
    Own { slot: OwnedMutexGuard<Option<SqliteConnection>>, _free: Option<OwnedSemaphorePermit> },
    Pooled(PoolConnection<Sqlite>),
}

impl Options {
    pub(crate) fn new(place: &Place, settings: &Settings) -> Self {
        let options = SqliteConnectOptions::new()
            .busy_timeout(busy_timeout(settings.deadline))
            // Room for every statement in all its sizes, and for the few others.
            .statement_cache_capacity(64)
            // Room for a whole batch of rows, so that returning it does not wait for the receiver.
            .row_buffer_size(2 * MAX_ITEMS)
            .disable_statement_logging()
            .thread_name(|number| format!("session-sqlite-{number}"));
        let options = match place {
            Place::Memory => options.in_memory(true),
            Place::File { path, create } => options.filename(path).create_if_missing(*create),
        };
        let options = options.pragma("cache_size", format!("-{}", settings.cache_kib));
        Self {
            reader: options
                .clone()
                .create_if_missing(false)
                .pragma("query_only", "1")
                .pragma("mmap_size", settings.mmap_size.to_string()),
            mover: options
                .clone()
                .create_if_missing(false)
                .busy_timeout(MOVER_PATIENCE)
                .pragma("synchronous", settings.synchronous.name()),
            // The writer moves the log itself only if the mover does not keep up.
            writer: options
                .pragma("synchronous", settings.synchronous.name())
                .pragma("wal_autocheckpoint", settings.wal_autocheckpoint.saturating_mul(8).to_string()),
        }
    }

    /// Opens the first connection.
    pub(crate) async fn open(&self) -> Result<SqliteConnection> {
        open(&self.writer, Operation::Connect).await
    }
}

/// How long the mover, and all writers with it, wait for connections that still read from the log.
const MOVER_PATIENCE: Duration = Duration::from_millis(50);

/// How long SQLite waits for the locks of other processes. It is less than the deadline, so that
/// SQLite gives up first, and the store knows it.
fn busy_timeout(deadline: Duration) -> Duration {
    deadline.mul_f64(0.75)
}

async fn open(options: &SqliteConnectOptions, operation: Operation) -> Result<SqliteConnection> {
    options.connect().await.map_err(|error| failed(operation, error))
}

impl Connections {
    pub(crate) fn file(writer: SqliteConnection, readers: usize, options: Options) -> Self {
        Self::File {
            writer: Arc::new(Mutex::new(Some(writer))),
            readers: (0..readers).map(|_| Slot::default()).collect(),
            free: Arc::new(Semaphore::new(readers)),
            mover: Slot::default(),
            options: Box::new(options),
        }
    }

    pub(crate) fn memory(only: SqliteConnection) -> Self {
        Self::Memory { only: Arc::new(Mutex::new(Some(only))) }
    }

    /// The connection that writes.
    pub(crate) async fn writer(&self, operation: Operation) -> Result<Lease> {
        match self {
            Self::File { writer, options, .. } => {
                let mut slot = Arc::clone(writer).lock_owned().await;
                if slot.is_none() {
                    *slot = Some(open(&options.writer, operation).await?);
                }
                Ok(Lease::Own { slot, _free: None })
            }
            Self::Memory { only } => {
                let slot = Arc::clone(only).lock_owned().await;
                Ok(Lease::Own { slot, _free: None })
            }
            Self::Pool(pool) => pooled(pool, operation).await,
        }
    }

    /// A connection to read from.
    pub(crate) async fn reader(&self, operation: Operation) -> Result<Lease> {
        let Self::File { readers, free, options, .. } = self else { return self.writer(operation).await };
        let place = Arc::clone(free).acquire_owned().await.map_err(|_| closed(operation))?;
        let unlocked = readers.iter().find_map(|slot| Arc::clone(slot).try_lock_owned().ok());
        let Some(mut slot) = unlocked else {
            return Err(Error::new(ErrorKind::Internal, operation).because("there is no free connection"));
        };
        if slot.is_none() {
            *slot = Some(open(&options.reader, operation).await?);
        }
        Ok(Lease::Own { slot, _free: Some(place) })
    }

    /// The connection that moves the write-ahead log. For everything but files, SQLite moves the
    /// log by itself, and this is the writer.
    pub(crate) async fn mover(&self, operation: Operation) -> Result<Lease> {
        let Self::File { mover, options, .. } = self else { return self.writer(operation).await };
        let mut slot = Arc::clone(mover).lock_owned().await;
        if slot.is_none() {
            *slot = Some(open(&options.mover, operation).await?);
        }
        Ok(Lease::Own { slot, _free: None })
    }

    /// Closes the store's own connections once they are no longer in use.
    pub(crate) async fn close(&self) -> Result<()> {
        let slots: Vec<&Slot> = match self {
            // The last connection to be closed moves the rest of the log.
            Self::File { writer, readers, mover, .. } => readers.iter().chain([mover, writer]).collect(),
            Self::Memory { only } => vec![only],
            Self::Pool(_) => Vec::new(),
        };
        for slot in slots {
            if let Some(connection) = slot.lock().await.take() {
                connection.close().await.map_err(|error| failed(Operation::Close, error))?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { readers, .. } => f.debug_struct("File").field("readers", &readers.len()).finish(),
            Self::Memory { .. } => f.write_str("Memory"),
            Self::Pool(pool) => f.debug_tuple("Pool").field(pool).finish(),
        }
    }
}

async fn pooled(pool: &SqlitePool, operation: Operation) -> Result<Lease> {
    pool.acquire().await.map(Lease::Pooled).map_err(|error| match failed(operation, error) {
        // Nothing was sent.
        error if error.may_have_applied() => Error::unavailable(operation, false).with_source(error),
        error => error,
    })
}

impl Lease {
    fn connection(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        match self {
            Self::Own { slot, .. } => slot.as_mut().ok_or(sqlx::Error::WorkerCrashed),
            Self::Pooled(connection) => Ok(connection),
        }
    }

    /// Runs a statement to its end, which commits it, and returns its rows.
    pub(crate) async fn rows(
        &mut self,
        operation: Operation,
        sql: SqlStr,
        fields: Fields,
    ) -> Result<Vec<SqliteRow>> {
        let rows = match (fields.finish(), self.connection()) {
            (Ok(arguments), Ok(connection)) => sqlx::query_with(sql, arguments).fetch_all(connection).await,
            (Err(error), _) | (_, Err(error)) => Err(error),
        };
        rows.map_err(|error| {
            if is_fatal(&error)
                && let Self::Own { slot, .. } = self
            {
                **slot = None;
            }
            failed(operation, error)
        })
    }
}
