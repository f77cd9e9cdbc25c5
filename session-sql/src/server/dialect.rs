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

    /// Opens a connection, and sets it up.
    fn open(&self) -> impl Future<Output = SqlResult<Connection<Self>>> + Send;

    /// Makes sure that the connection still works.
    fn ping(connection: &mut Connection<Self>) -> impl Future<Output = SqlResult<()>> + Send;

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
    /// The connection is of no further use. The flag says whether the server said so itself, so that it carries out nothing more on it.
    Lost { by_server: bool },
    /// Nothing was changed, and this is why.
    Refused(Error),
}
