use std::sync::Arc;

use session_backend::Backend;
use session_core::{
    DeleteItem, DeleteOutcome, Error, EventStream, Maintenance, Operation, OwnerChange, OwnerIndex, Record,
    RenameOutcome, Result, SessionKey, TouchItem, Version, Watch, Write, WriteItem, WriteOutcome,
    async_trait, rename_by_write_and_delete,
};
use tokio::time::timeout;

use crate::{across_shards::AcrossShards, core::Core};

/// The engine, without batching.
#[derive(Clone, Debug)]
pub(crate) struct RedisBackend(pub(crate) Arc<Core>);

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Backend for RedisBackend {
    async fn rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        if self.0.topology.is_cluster() && old.shard() != new.shard() {
            return rename_by_write_and_delete(&AcrossShards(&self.0), old, new, write, expected).await;
        }
        self.0.rename(old, new, write, expected).await
    }

    async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        self.0.read_many(keys).await
    }

    async fn write_many(&self, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        let outcomes = self.0.write_many(items).await;
        for (item, outcome) in items.iter().zip(&outcomes) {
            if let (OwnerChange::Set(owner), Ok(WriteOutcome::Written)) = (&item.write.owner, outcome) {
                self.0.sweep_now_and_then(&item.key, owner);
            }
        }
        outcomes
    }

    async fn touch_many(&self, items: &[TouchItem]) -> Vec<Result<bool>> {
        self.0.touch_many(items).await
    }

    async fn delete_many(&self, items: &[DeleteItem]) -> Vec<Result<DeleteOutcome>> {
        self.0.delete_many(items).await
    }

    async fn ping(&self) -> Result<()> {
        self.0.ping(Operation::Ping).await
    }

    async fn close(&self) -> Result<()> {
        self.0.closed.send_replace(true);
        let idle = timeout(self.0.deadline, self.0.under_way.write()).await;
        self.0.topology.close();
        idle.map(drop).map_err(|_| {
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
        Some(self)
    }
}

#[async_trait]
impl Watch for RedisBackend {
    async fn subscribe(&self) -> Result<EventStream> {
        self.0.subscribe().await
    }
}
