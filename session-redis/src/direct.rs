use std::sync::Arc;

use session_core::{
    DeleteItem, DeleteOutcome, Error, EventStream, Expected, Maintenance, Operation, OwnerChange, OwnerIndex,
    Record, RenameOutcome, Result, SessionKey, SessionStore, TouchItem, Ttl, Version, Watch, When, Write,
    WriteItem, WriteOutcome, async_trait,
};
use tokio::time::timeout;

use crate::{across_shards::AcrossShards, core::Core, errors::unexpected};

/// The store without batching.
#[derive(Clone, Debug)]
pub(crate) struct Direct(pub(crate) Arc<Core>);

/// The outcome of a batch of one.
fn only<T>(operation: Operation, mut outcomes: Vec<Result<T>>) -> Result<T> {
    outcomes.pop().unwrap_or_else(|| Err(unexpected(operation, "there")))
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for Direct {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.0.read(key).await
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        only(Operation::Write, self.write_many(&[WriteItem { key: *key, write, when }]).await)
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        only(Operation::Touch, self.0.touch_many(&[TouchItem { key: *key, ttl }]).await)
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        only(Operation::Delete, self.0.delete_many(&[DeleteItem { key: *key, expected }]).await)
    }

    async fn rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        if self.0.topology.is_cluster() && old.shard() != new.shard() {
            return AcrossShards(self).rename(old, new, write, expected).await;
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
impl Watch for Direct {
    async fn subscribe(&self) -> Result<EventStream> {
        self.0.subscribe().await
    }
}
