use std::sync::Arc;

use session_backend::Backend;
use session_core::{
    DeleteItem, DeleteOutcome, Error, EventStream, Maintenance, Operation, OwnerIndex, Record, RenameOutcome,
    Result, SessionKey, TouchItem, Version, Watch, Write, WriteItem, WriteOutcome, async_trait,
};
use tokio::time::timeout;

use super::{core::Core, errors::closed};

/// The engine, without batching.
#[derive(Clone, Debug)]
pub(crate) struct SqliteBackend(pub(crate) Arc<Core>);

#[async_trait]
impl Backend for SqliteBackend {
    async fn rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        self.0.rename(old, new, write, expected).await
    }

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

    async fn close(&self) -> Result<()> {
        self.0.closed.send_replace(true);
        timeout(self.0.deadline, self.0.connections.close()).await.unwrap_or_else(|_| {
            Err(Error::unavailable(Operation::Close, false).because("operations are still under way"))
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
        Some(self)
    }
}

#[async_trait]
impl Watch for SqliteBackend {
    async fn subscribe(&self) -> Result<EventStream> {
        if *self.0.closed.borrow() {
            return Err(closed(Operation::Watch));
        }
        Ok(self.0.shared.events.subscribe(self.0.closed.subscribe()))
    }

    /// Always false: the engine does not report what other processes change.
    fn hears_all_nodes(&self) -> bool {
        false
    }
}
