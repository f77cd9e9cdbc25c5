use std::{fmt, sync::Arc};

use session_core::{
    DeleteItem, DeleteOutcome, Error, ErrorKind, EventStream, Expected, Maintenance, Operation, OwnerIndex,
    Record, RenameOutcome, Result, SessionKey, SessionStore, TouchItem, Ttl, Version, Watch, When, Write,
    WriteItem, WriteOutcome, async_trait,
};

use crate::{MemoryStoreBuilder, inner::Inner};

/// Sessions in the memory of this process.
///
/// The store is authoritative, not a cache: a session stays until it is deleted or expires, and is
/// lost when the process ends. Clones are handles on the same sessions. The store keeps all
/// promises of [`SessionStore`] (those about outages trivially) and has an owner index, maintenance
/// and watch.
///
/// # Cost
/// Operations wait for nothing but locks, so all futures are ready at their first poll, on any
/// runtime or none. There are 256 locks. A hash with a random key for each store assigns each
/// session key to a lock, so that a client cannot choose ids that all contend for one lock. Reads,
/// writes, touches, deletes and renames hold one lock for well under a microsecond; a rename holds
/// two and is atomic. Listing, counting and ending the sessions of an owner takes each lock once,
/// one such call at a time. A page of a listing scans a whole shard under its lock.
///
/// ```
/// use std::time::Duration;
/// use session_core::{SessionId, SessionStore, Ttl, When, Write};
/// use session_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> session_core::Result<()> {
/// let store = MemoryStore::new();
/// let key = SessionId::generate().key();
/// let write = Write::new("theme=dark", Ttl::new(Duration::from_secs(1800))?);
/// assert!(store.write(&key, write, When::Absent).await?.is_written());
/// assert_eq!(store.read(&key).await?.expect("it is live").data, "theme=dark");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    pub(crate) inner: Arc<Inner>,
}

impl MemoryStore {
    /// An empty store without limits.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Settings for a store: limits, and what happens when they are reached.
    pub fn builder() -> MemoryStoreBuilder {
        MemoryStoreBuilder::default()
    }
}

// Written by hand, because session data must not be logged.
impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl SessionStore for MemoryStore {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        Ok(self.inner.read(key))
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        self.inner.write(key, write, when)
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        Ok(self.inner.touch(key, ttl))
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        Ok(self.inner.delete(key, expected))
    }

    async fn rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        self.inner.rename(old, new, write, expected)
    }

    async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        keys.iter().map(|key| Ok(self.inner.read(key))).collect()
    }

    async fn write_many(&self, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        items.iter().map(|item| self.inner.write(&item.key, item.write.clone(), item.when)).collect()
    }

    async fn touch_many(&self, items: &[TouchItem]) -> Vec<Result<bool>> {
        items.iter().map(|item| Ok(self.inner.touch(&item.key, item.ttl))).collect()
    }

    async fn delete_many(&self, items: &[DeleteItem]) -> Vec<Result<DeleteOutcome>> {
        items.iter().map(|item| Ok(self.inner.delete(&item.key, item.expected))).collect()
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }

    /// Ends the event streams and the purging thread. Sessions can still be used; writes then free
    /// expired sessions.
    async fn close(&self) -> Result<()> {
        self.inner.events.close();
        self.inner.purger.end();
        Ok(())
    }

    fn max_data_len(&self) -> usize {
        self.inner.max_data_len
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
impl Watch for MemoryStore {
    async fn subscribe(&self) -> Result<EventStream> {
        let closed = || Error::new(ErrorKind::Closed, Operation::Watch);
        self.inner.events.subscribe().ok_or_else(closed)
    }
}
