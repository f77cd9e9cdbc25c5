use std::fmt;

use session_core::{
    DeleteItem, DeleteOutcome, Error, ErrorKind, Expected, Maintenance, Operation, OwnerIndex, Record,
    RenameOutcome, Result, SessionKey, SessionStore, TouchItem, Ttl, Version, Watch, When, Write, WriteItem,
    WriteOutcome, async_trait, rename_by_write_and_delete,
};

/// What an engine implements: a session store whose operations take batches alone.
///
/// [`Batched`](crate::Batched) makes a [`SessionStore`] of it. Every promise of [`SessionStore`] holds for
/// the method of the same name here. In particular each batch has one outcome for each item, in the order of
/// the items, and items of one key are carried out in their order (promise 9).
///
/// Every [`SessionStore`] is a backend as well: a batch of one item goes to its single operation.
#[async_trait]
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// Reads many records; see [`SessionStore::read_many`].
    async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>>;

    /// Writes many records; see [`SessionStore::write_many`].
    async fn write_many(&self, items: &[WriteItem]) -> Vec<Result<WriteOutcome>>;

    /// Touches many records; see [`SessionStore::touch_many`].
    async fn touch_many(&self, items: &[TouchItem]) -> Vec<Result<bool>>;

    /// Deletes many records; see [`SessionStore::delete_many`].
    async fn delete_many(&self, items: &[DeleteItem]) -> Vec<Result<DeleteOutcome>>;

    /// Moves a record to another key; see [`SessionStore::rename`]. As provided, it takes four round trips.
    ///
    /// # Errors
    /// Those of [`SessionStore::rename`].
    async fn rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        rename_by_write_and_delete(&Single(self), old, new, write, expected).await
    }

    /// Asks whether the engine can serve now; see [`SessionStore::ping`]. As provided, it reads a key that no session has.
    ///
    /// # Errors
    /// Those of [`SessionStore::ping`].
    async fn ping(&self) -> Result<()> {
        SessionStore::ping(&Single(self)).await
    }

    /// Closes the connections; see [`SessionStore::close`].
    ///
    /// # Errors
    /// Those of [`SessionStore::close`].
    async fn close(&self) -> Result<()>;

    /// The longest data that a write may have; see [`SessionStore::max_data_len`].
    fn max_data_len(&self) -> usize;

    /// The index of owners; see [`SessionStore::owners`].
    fn owners(&self) -> Option<&dyn OwnerIndex>;

    /// Counting, paging and purging; see [`SessionStore::maintenance`].
    fn maintenance(&self) -> Option<&dyn Maintenance>;

    /// The watch; see [`SessionStore::watch`].
    fn watch(&self) -> Option<&dyn Watch>;
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: SessionStore + 'static> Backend for S {
    async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        match keys {
            [key] => vec![self.read(key).await],
            keys => SessionStore::read_many(self, keys).await,
        }
    }

    async fn write_many(&self, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        match items {
            [item] => vec![self.write(&item.key, item.write.clone(), item.when).await],
            items => SessionStore::write_many(self, items).await,
        }
    }

    async fn touch_many(&self, items: &[TouchItem]) -> Vec<Result<bool>> {
        match items {
            [item] => vec![self.touch(&item.key, item.ttl).await],
            items => SessionStore::touch_many(self, items).await,
        }
    }

    async fn delete_many(&self, items: &[DeleteItem]) -> Vec<Result<DeleteOutcome>> {
        match items {
            [item] => vec![self.delete(&item.key, item.expected).await],
            items => SessionStore::delete_many(self, items).await,
        }
    }

    async fn rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        SessionStore::rename(self, old, new, write, expected).await
    }

    async fn ping(&self) -> Result<()> {
        SessionStore::ping(self).await
    }

    async fn close(&self) -> Result<()> {
        SessionStore::close(self).await
    }

    fn max_data_len(&self) -> usize {
        SessionStore::max_data_len(self)
    }

    fn owners(&self) -> Option<&dyn OwnerIndex> {
        SessionStore::owners(self)
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        SessionStore::maintenance(self)
    }

    fn watch(&self) -> Option<&dyn Watch> {
        SessionStore::watch(self)
    }
}

/// The single operations of a backend, as batches of one.
#[derive(Debug)]
pub(crate) struct Single<'a, B: ?Sized>(pub(crate) &'a B);

#[async_trait]
impl<B: Backend + ?Sized> SessionStore for Single<'_, B> {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        only(Operation::Read, self.0.read_many(&[*key]).await)
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        only(Operation::Write, self.0.write_many(&[WriteItem { key: *key, write, when }]).await)
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        only(Operation::Touch, self.0.touch_many(&[TouchItem { key: *key, ttl }]).await)
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        only(Operation::Delete, self.0.delete_many(&[DeleteItem { key: *key, expected }]).await)
    }
}

/// The outcome of a batch of one item.
///
/// # Errors
/// The error of the item; [`Internal`](ErrorKind::Internal) if the batch has no outcome.
pub fn only<T>(operation: Operation, mut outcomes: Vec<Result<T>>) -> Result<T> {
    let missing = || Error::new(ErrorKind::Internal, operation).because("a batch has too few outcomes");
    outcomes.pop().unwrap_or_else(|| Err(missing()))
}
