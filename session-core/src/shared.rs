use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    DeleteItem, DeleteOutcome, Expected, Maintenance, OwnerIndex, Record, RenameOutcome, Result, SessionKey,
    SessionStore, TouchItem, Ttl, Version, Watch, When, Write, WriteItem, WriteOutcome,
};

/// A shared store is a store. Handles can be cloned, and `Arc<dyn SessionStore>` hides which
/// backend a deployment uses.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: SessionStore + ?Sized> SessionStore for Arc<S> {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        (**self).read(key).await
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        (**self).write(key, write, when).await
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        (**self).touch(key, ttl).await
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        (**self).delete(key, expected).await
    }

    async fn rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        (**self).rename(old, new, write, expected).await
    }

    async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        (**self).read_many(keys).await
    }

    async fn write_many(&self, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        (**self).write_many(items).await
    }

    async fn touch_many(&self, items: &[TouchItem]) -> Vec<Result<bool>> {
        (**self).touch_many(items).await
    }

    async fn delete_many(&self, items: &[DeleteItem]) -> Vec<Result<DeleteOutcome>> {
        (**self).delete_many(items).await
    }

    async fn ping(&self) -> Result<()> {
        (**self).ping().await
    }

    async fn close(&self) -> Result<()> {
        (**self).close().await
    }

    fn max_data_len(&self) -> usize {
        (**self).max_data_len()
    }

    fn owners(&self) -> Option<&dyn OwnerIndex> {
        (**self).owners()
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        (**self).maintenance()
    }

    fn watch(&self) -> Option<&dyn Watch> {
        (**self).watch()
    }
}
