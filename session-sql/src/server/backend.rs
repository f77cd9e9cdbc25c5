use std::sync::Arc;

use session_backend::{Backend, only};
use session_core::{
    DeleteItem, DeleteOutcome, Error, ErrorKind, Maintenance, Operation, OwnerIndex, Record, RenameOutcome,
    Result, SessionKey, TouchItem, Version, Watch, Write, WriteItem, WriteOutcome, async_trait,
};
use tokio::time::timeout;

use super::{core::Core, dialect::Dialect, jobs::Rename};

/// The engine, without batching.
#[derive(Debug)]
pub(crate) struct SqlBackend<D: Dialect> {
    pub(crate) core: Arc<Core<D>>,
    /// Whether reads may come from a replica.
    pub(crate) stale: bool,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<D: Dialect> Backend for SqlBackend<D>
where
    Self: Watch,
{
    async fn rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        self.core.check_len(Operation::Rename, &write)?;
        self.core.changing([*old, *new]);
        let renamed = self.core.run(Rename { old: *old, new: *new, write, expected }).await;
        self.core.changed([*old, *new]);
        renamed?
    }

    async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        if self.stale { self.core.read_many_stale(keys).await } else { self.core.read_many(keys).await }
    }

    async fn write_many(&self, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        self.core.write_many(items).await
    }

    async fn touch_many(&self, items: &[TouchItem]) -> Vec<Result<bool>> {
        self.core.touch_many(items).await
    }

    async fn delete_many(&self, items: &[DeleteItem]) -> Vec<Result<DeleteOutcome>> {
        self.core.delete_many(items).await
    }

    async fn ping(&self) -> Result<()> {
        let found = self.core.read_many(&[SessionKey::from_bytes([0; SessionKey::LEN])]).await;
        only(Operation::Ping, found).map(drop).map_err(|error| error.during(Operation::Ping))
    }

    async fn close(&self) -> Result<()> {
        self.core.closed.send_replace(true);
        if let Some(replica) = &self.core.replica {
            let _ = timeout(self.core.deadline, replica.connections.close()).await;
        }
        timeout(self.core.deadline, self.core.connections.close()).await.map_err(|_| {
            Error::unavailable(Operation::Close, false).because("operations are still under way")
        })
    }

    fn max_data_len(&self) -> usize {
        self.core.max_data_len
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

pub(crate) fn closed(operation: Operation) -> Error {
    Error::new(ErrorKind::Closed, operation)
}
