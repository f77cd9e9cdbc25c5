use std::sync::Arc;

use session_core::{
    Cursor, DeleteItem, DeleteOutcome, Error, ErrorKind, Expected, Maintenance, Operation, Owner, OwnerIndex,
    Page, Record, RenameOutcome, Result, SessionKey, SessionStore, TouchItem, Ttl, Version, Watch, When,
    Write, WriteItem, WriteOutcome, async_trait,
};
use tokio::time::timeout;

use super::Link;

#[async_trait]
impl SessionStore for Link {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        let key = *key;
        self.ask(Operation::Read, |store| async move { store.read(&key).await }).await
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        let key = *key;
        self.ask(Operation::Write, |store| async move { store.write(&key, write, when).await }).await
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        let key = *key;
        self.ask(Operation::Touch, |store| async move { store.touch(&key, ttl).await }).await
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        let key = *key;
        self.ask(Operation::Delete, |store| async move { store.delete(&key, expected).await }).await
    }

    async fn rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        let (old, new) = (*old, *new);
        let request =
            |store: Arc<dyn SessionStore>| async move { store.rename(&old, &new, write, expected).await };
        self.ask(Operation::Rename, request).await
    }

    async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        let asked = keys.to_vec();
        let request = |store: Arc<dyn SessionStore>| async move { store.read_many(&asked).await };
        self.ask_many(Operation::Read, keys.len(), request).await
    }

    async fn write_many(&self, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        let asked = items.to_vec();
        let request = |store: Arc<dyn SessionStore>| async move { store.write_many(&asked).await };
        self.ask_many(Operation::Write, items.len(), request).await
    }

    async fn touch_many(&self, items: &[TouchItem]) -> Vec<Result<bool>> {
        let asked = items.to_vec();
        let request = |store: Arc<dyn SessionStore>| async move { store.touch_many(&asked).await };
        self.ask_many(Operation::Touch, items.len(), request).await
    }

    async fn delete_many(&self, items: &[DeleteItem]) -> Vec<Result<DeleteOutcome>> {
        let asked = items.to_vec();
        let request = |store: Arc<dyn SessionStore>| async move { store.delete_many(&asked).await };
        self.ask_many(Operation::Delete, items.len(), request).await
    }

    async fn ping(&self) -> Result<()> {
        self.ask(Operation::Ping, |store| async move { store.ping().await }).await
    }

    async fn close(&self) -> Result<()> {
        // Requests in flight arrive first.
        let _all_arrived = timeout(self.patience(), self.road.under_way.write()).await;
        self.store.close().await
    }

    fn max_data_len(&self) -> usize {
        self.store.max_data_len()
    }

    fn owners(&self) -> Option<&dyn OwnerIndex> {
        self.store.owners().map(|_| self as _)
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        self.store.maintenance().map(|_| self as _)
    }

    fn watch(&self) -> Option<&dyn Watch> {
        self.store.watch().filter(|_| self.has_watch).map(|_| self as _)
    }
}

/// The error for a missing index or watch. It is not expected: a link has one only if its store
/// has.
pub(super) fn gone(operation: Operation) -> Error {
    Error::new(ErrorKind::Internal, operation).because("the store has lost an ability")
}

#[async_trait]
impl OwnerIndex for Link {
    async fn list(&self, owner: &Owner) -> Result<Vec<SessionKey>> {
        let (operation, owner) = (Operation::ListOwner, owner.clone());
        let request = |store: Arc<dyn SessionStore>| async move {
            store.owners().ok_or_else(|| gone(operation))?.list(&owner).await
        };
        self.ask(operation, request).await
    }

    async fn count(&self, owner: &Owner) -> Result<u64> {
        let (operation, owner) = (Operation::CountOwner, owner.clone());
        let request = |store: Arc<dyn SessionStore>| async move {
            store.owners().ok_or_else(|| gone(operation))?.count(&owner).await
        };
        self.ask(operation, request).await
    }

    async fn delete_all(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<Vec<SessionKey>> {
        let (operation, owner, except) = (Operation::DeleteOwner, owner.clone(), except.copied());
        let request = |store: Arc<dyn SessionStore>| async move {
            store.owners().ok_or_else(|| gone(operation))?.delete_all(&owner, except.as_ref()).await
        };
        self.ask(operation, request).await
    }
}

#[async_trait]
impl Maintenance for Link {
    async fn page(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        let operation = Operation::Page;
        let request = |store: Arc<dyn SessionStore>| async move {
            store.maintenance().ok_or_else(|| gone(operation))?.page(cursor, limit).await
        };
        self.ask(operation, request).await
    }

    async fn count(&self) -> Result<u64> {
        let operation = Operation::Count;
        let request = |store: Arc<dyn SessionStore>| async move {
            store.maintenance().ok_or_else(|| gone(operation))?.count().await
        };
        self.ask(operation, request).await
    }

    async fn purge_expired(&self, limit: usize) -> Result<u64> {
        let operation = Operation::Purge;
        let request = |store: Arc<dyn SessionStore>| async move {
            store.maintenance().ok_or_else(|| gone(operation))?.purge_expired(limit).await
        };
        self.ask(operation, request).await
    }
}
