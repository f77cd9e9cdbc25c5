use std::{collections::HashSet, fmt, future::Future};

use session_core::{
    DeleteItem, Error, Event, Operation, Owner, Record, Result, SessionKey, TouchItem, Version, Write,
    WriteItem,
};
use sqlx::Database;

use super::record::Found;

/// The connection type of a dialect.
pub(crate) type Connection<D> = <<D as Dialect>::Database as Database>::Connection;

/// The result of a statement, with the driver's error.
pub(crate) type SqlResult<T> = Result<T, sqlx::Error>;

/// One kind of database server: its statements, each on a given connection.
///
/// A statement that fails has changed nothing, unless its connection broke. Items of one call have
/// different keys.
pub(crate) trait Dialect: fmt::Debug + Send + Sync + 'static {
    type Database: Database;

    /// Whether every read statement fails by itself on a server that is not a primary. If not, a
    /// pooled connection is [checked](Self::ask) before each use.
    const READS_ASK: bool;

    /// Opens a connection, sets it up, and [checks](Self::ask) it.
    fn open(&self) -> impl Future<Output = SqlResult<Connection<Self>>> + Send;

    /// Checks the server behind a connection: it must answer, and be a primary where one is needed.
    fn ask(&self, connection: &mut Connection<Self>) -> impl Future<Output = SqlResult<()>> + Send;

    /// Tells the listeners of this process that a different server may answer from now on, which
    /// may lack changes that the previous one had.
    fn switched(&self);

    /// What an error of the driver means.
    fn meaning(operation: Operation, error: &sqlx::Error) -> Meaning;

    /// Tells the listeners of this process of a change. The default implementation is a no-op, for
    /// servers that notify the listeners themselves.
    fn tell(&self, event: Event) {
        let _ = event;
    }

    /// Returns the live records under the keys, and an error for each row that is not a valid
    /// record.
    fn read(
        &self,
        connection: &mut Connection<Self>,
        keys: &[SessionKey],
    ) -> impl Future<Output = SqlResult<Found>> + Send;

    fn write(
        &self,
        connection: &mut Connection<Self>,
        items: &[WriteItem],
    ) -> impl Future<Output = SqlResult<Written>> + Send;

    /// Returns the keys that were touched.
    fn touch(
        &self,
        connection: &mut Connection<Self>,
        items: &[TouchItem],
    ) -> impl Future<Output = SqlResult<HashSet<SessionKey>>> + Send;

    /// Returns the keys that were deleted.
    fn delete(
        &self,
        connection: &mut Connection<Self>,
        items: &[DeleteItem],
    ) -> impl Future<Output = SqlResult<HashSet<SessionKey>>> + Send;

    /// Returns true if the row was given the new key and content.
    fn rename(
        &self,
        connection: &mut Connection<Self>,
        old: &SessionKey,
        new: &SessionKey,
        write: &Write,
        expected: &Version,
    ) -> impl Future<Output = SqlResult<bool>> + Send;

    fn list_owner(
        &self,
        connection: &mut Connection<Self>,
        owner: &Owner,
    ) -> impl Future<Output = SqlResult<Vec<SessionKey>>> + Send;

    fn count_owner(
        &self,
        connection: &mut Connection<Self>,
        owner: &Owner,
    ) -> impl Future<Output = SqlResult<i64>> + Send;

    /// Deletes the sessions that an owner has now. The flag is true if some moved in the meantime,
    /// so that the deletion must be repeated.
    fn delete_owner(
        &self,
        connection: &mut Connection<Self>,
        owner: &Owner,
        except: Option<&SessionKey>,
    ) -> impl Future<Output = SqlResult<(Vec<SessionKey>, bool)>> + Send;

    /// Returns up to `limit` live records whose keys come after `after`, in key order.
    fn page(
        &self,
        connection: &mut Connection<Self>,
        after: &[u8],
        limit: usize,
    ) -> impl Future<Output = SqlResult<Vec<(SessionKey, Result<Record>)>>> + Send;

    fn count(&self, connection: &mut Connection<Self>) -> impl Future<Output = SqlResult<i64>> + Send;

    /// Visits up to `limit` rows that may have expired, and deletes and returns those that have.
    /// Rows are visited in the order of their purge times, starting at `from`.
    fn purge(
        &self,
        connection: &mut Connection<Self>,
        from: i64,
        limit: usize,
    ) -> impl Future<Output = SqlResult<Purged>> + Send;
}

/// Converts the failure of a statement that follows a change within a job. An error that says that
/// nothing was changed is true of the statement but not of the job. The outcome of the job is as
/// open as if the connection had been lost.
pub(crate) fn after_change<D: Dialect>(operation: Operation, error: sqlx::Error) -> sqlx::Error {
    match D::meaning(operation, &error) {
        Meaning::Elsewhere(_) => {
            sqlx::Error::Protocol(format!("the look that follows a change failed: {error}"))
        }
        _ => error,
    }
}

/// A server that answers but is not a primary.
#[derive(Debug)]
pub(crate) struct OnlyReads;

impl OnlyReads {
    /// The error that a dialect returns for a connection to such a server.
    pub(crate) fn error() -> sqlx::Error {
        sqlx::Error::AnyDriverError(Box::new(Self))
    }

    /// What such an error means; `None` for any other error.
    pub(crate) fn meaning(operation: Operation, error: &sqlx::Error) -> Option<Meaning> {
        match error {
            sqlx::Error::AnyDriverError(error) if error.is::<Self>() => {
                let refusal = Error::unavailable(operation, false);
                Some(Meaning::Elsewhere(refusal.because(Self.to_string())))
            }
            _ => None,
        }
    }
}

impl fmt::Display for OnlyReads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server only reads: it is a replica, or it was set to be read-only")
    }
}

impl std::error::Error for OnlyReads {}

/// The result of a batch of writes.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) keys: HashSet<SessionKey>,
    /// The live records, and the rows that are not valid records, under the other keys as the
    /// statement first saw them. `None` if the statement does not report them. It may have locked
    /// some rows later, and judged them then.
    pub(crate) found: Option<Found>,
}

/// The result of a purge.
#[derive(Debug, Default)]
pub(crate) struct Purged {
    pub(crate) freed: Vec<SessionKey>,
    /// The number of rows visited. It equals the limit if there may be more.
    pub(crate) looked_at: usize,
    /// The purge time of the last of these rows.
    pub(crate) reached: Option<i64>,
}

/// What an error of the driver means.
#[derive(Debug)]
pub(crate) enum Meaning {
    /// Concurrent transactions were in the way, and nothing was changed: a retry may succeed.
    Again,
    /// Nothing was changed, and this server cannot serve any request now. Another connection may
    /// lead to a server that can.
    Elsewhere(Error),
    /// The connection is unusable. The flag is true if the server said so itself, so that it
    /// carries out nothing more on it.
    Lost { by_server: bool },
    /// Nothing was changed, for this reason.
    Refused(Error),
}
