use std::{fmt, sync::Arc};

use session_backend::Backend;
use session_core::{
    DeleteItem, DeleteOutcome, Error, EventStream, Maintenance, Operation, OwnerIndex, Record, Result,
    SessionKey, TouchItem, Watch, WriteItem, WriteOutcome, async_trait,
};
use tokio::time::timeout_at;

use crate::core::Core;

/// The engine, without batching.
#[derive(Clone)]
pub(crate) struct MongoBackend(pub(crate) Arc<Core>);

impl fmt::Debug for MongoBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// The rename is the provided one: without a transaction, two documents cannot be changed in one
// step.
#[async_trait]
impl Backend for MongoBackend {
    async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        match keys {
            [key] => vec![self.0.read(key).await],
            keys => self.0.read_many(keys).await,
        }
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
        // The lock is released at once: it shows that nothing is in flight, and later callers need
        // not wait to learn that the store is closed.
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
impl Watch for MongoBackend {
    async fn subscribe(&self) -> Result<EventStream> {
        self.0.subscribe().await
    }
}
