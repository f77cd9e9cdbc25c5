use std::{fmt, sync::Arc};

use session_core::{
    DeleteItem, DeleteOutcome, Error, EventStream, Expected, Maintenance, Operation, OwnerIndex, Record,
    Result, SessionKey, SessionStore, TouchItem, Ttl, Watch, When, Write, WriteItem, WriteOutcome,
    async_trait,
};
use tokio::time::timeout_at;

use crate::{core::Core, errors::unexpected};

/// The store without batching.
#[derive(Clone)]
pub(crate) struct Direct(pub(crate) Arc<Core>);

impl fmt::Debug for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The outcome of a batch of one.
fn only<T>(operation: Operation, mut outcomes: Vec<Result<T>>) -> Result<T> {
    outcomes.pop().unwrap_or_else(|| Err(unexpected(operation, "there")))
}

// A rename is the one that is provided: two documents cannot be changed in one step without a transaction.
#[async_trait]
impl SessionStore for Direct {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.0.read(key).await
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

    async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        self.0.read_many(keys).await
    }

    async fn write_many(&self, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        self.0.write_many(items).await
    }

    async fn touch_many(&self, items: &[TouchItem]) -> Vec<Result<bool>> {
        self.0.touch_many(items).await
    }

    async fn delete_many(&self, items: &[DeleteItem]) -> Vec<Result<DeleteOutcome>> {
        self.0.delete_many(items).await
    }

    async fn ping(&self) -> Result<()> {
        self.0.ping().await
    }

    async fn close(&self) -> Result<()> {
        self.0.closed.send_replace(true);
        let until = self.0.until();
        // Only to know that nothing is under way: who comes now need not wait to hear that the store is closed.
        let idle = timeout_at(until, self.0.under_way.write()).await.map(drop);
        self.0.end(until).await;
        idle.map_err(|_| {
            Error::unavailable(Operation::Close, false).because("operations were still under way")
        })
    }

    fn max_data_len(&self) -> usize {
        self.0.max_data_len
    }

    fn owners(&self) -> Option<&dyn OwnerIndex> {
        Some(self)
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        Some(self)
    }

    fn watch(&self) -> Option<&dyn Watch> {
        self.0.watching.as_ref().map(|_| self as &dyn Watch)
    }
}

#[async_trait]
impl Watch for Direct {
    async fn subscribe(&self) -> Result<EventStream> {
        self.0.subscribe().await
    }
}
