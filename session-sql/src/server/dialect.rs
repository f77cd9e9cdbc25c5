use std::{collections::HashSet, fmt, future::Future};

use session_core::{
    DeleteItem, Error, Event, Operation, Owner, Record, Result, SessionKey, TouchItem, Version, Write,
    WriteItem,
};
use sqlx::Database;

use super::found::Found;

/// The connections of a dialect.
pub(crate) type Connection<D> = <<D as Dialect>::Database as Database>::Connection;

/// What a failed statement failed with.
pub(crate) type SqlResult<T> = Result<T, sqlx::Error>;

/// One kind of database server: its statements, each on a connection that is given.
///
/// A statement that fails has changed nothing, unless its connection broke. Items of one call have different keys.
pub(crate) trait Dialect: fmt::Debug + Send + Sync + 'static {
    type Database: Database;

    /// Whether each statement that reads fails on a server that is no primary. Where it does not, a connection of a pool is
    /// [asked](Self::ask) before each use.
    const READS_ASK: bool;

    /// Opens a connection, sets it up, and [asks](Self::ask) it.
    fn open(&self) -> impl Future<Output = SqlResult<Connection<Self>>> + Send;

    /// Asks the server behind a connection whether it may serve: whether it answers, and is a primary where one is needed.
    fn ask(&self, connection: &mut Connection<Self>) -> impl Future<Output = SqlResult<()>> + Send;

    /// Tells the listeners of this process that another server may answer from now on, which may lack what the one before had.
    fn switched(&self);

    /// What an error of the driver means.
    fn meaning(operation: Operation, error: &sqlx::Error) -> Meaning;

    /// Tells the listeners of this process of a change. As provided it does nothing, because the server tells them.
    fn tell(&self, event: Event) {
        let _ = event;
    }

    /// What is live under the keys, and what is not ours.
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

    /// The keys that were touched.
    fn touch(
        &self,
        connection: &mut Connection<Self>,
        items: &[TouchItem],
    ) -> impl Future<Output = SqlResult<HashSet<SessionKey>>> + Send;

    /// The keys that were deleted.
    fn delete(
        &self,
        connection: &mut Connection<Self>,
        items: &[DeleteItem],
    ) -> impl Future<Output = SqlResult<HashSet<SessionKey>>> + Send;

    /// Whether the row was given the new key and content.
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

    /// Ends what belongs to an owner now. The flag says whether some of it moved meanwhile, so that it has to be done again.
    fn delete_owner(
        &self,
        connection: &mut Connection<Self>,
        owner: &Owner,
        except: Option<&SessionKey>,
    ) -> impl Future<Output = SqlResult<(Vec<SessionKey>, bool)>> + Send;

    /// So many live records whose keys come after this one, with the last key that was looked at.
    fn page(
        &self,
        connection: &mut Connection<Self>,
        after: &[u8],
        limit: usize,
    ) -> impl Future<Output = SqlResult<Vec<(SessionKey, Result<Record>)>>> + Send;

    fn count(&self, connection: &mut Connection<Self>) -> impl Future<Output = SqlResult<i64>> + Send;

    /// Frees what has expired among so many rows that may have, and says which. Rows are looked at in the order of their moments, from `from` on.
    fn purge(
        &self,
        connection: &mut Connection<Self>,
        from: i64,
        limit: usize,
    ) -> impl Future<Output = SqlResult<Purged>> + Send;
}

/// The failure of a statement that follows a change within a job. Where it says that nothing was changed, that is true of the
/// statement and not of the job, whose outcome is as open as if the connection were lost.
pub(crate) fn after_change<D: Dialect>(operation: Operation, error: sqlx::Error) -> sqlx::Error {
    match D::meaning(operation, &error) {
        Meaning::Elsewhere(_) => {
            sqlx::Error::Protocol(format!("the look that follows a change failed: {error}"))
        }
        _ => error,
    }
}

/// A server that answers, and is no primary.
#[derive(Debug)]
pub(crate) struct OnlyReads;

impl OnlyReads {
    /// What a dialect gives for a connection to such a server.
    pub(crate) fn error() -> sqlx::Error {
        sqlx::Error::AnyDriverError(Box::new(Self))
    }

    /// What such a failure means; `None` if it is another one.
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

/// What came of a batch of writes.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) keys: HashSet<SessionKey>,
    /// What was live, or not ours, under the other keys as the statement saw them first, if it tells. It may have locked some later, and judged
    /// them then.
    pub(crate) found: Option<Found>,
}

/// What a purge found.
#[derive(Debug, Default)]
pub(crate) struct Purged {
    pub(crate) freed: Vec<SessionKey>,
    /// As many as were asked for, if there may be more.
    pub(crate) looked_at: usize,
    /// The moment of the last of them.
    pub(crate) reached: Option<i64>,
}

/// What an error of the driver means.
#[derive(Debug)]
pub(crate) enum Meaning {
    /// Others were in the way, and nothing was changed: the same again may do.
    Again,
    /// Nothing was changed, and this server cannot serve now, whatever it is asked: another connection may lead to one that can.
    Elsewhere(Error),
    /// The connection is of no further use. The flag says whether the server said so itself, so that it carries out nothing more on it.
    Lost { by_server: bool },
    /// Nothing was changed, and this is why.
    Refused(Error),
}
