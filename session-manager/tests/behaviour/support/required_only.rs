use session_core::{
    DeleteOutcome, Expected, OwnerIndex, Record, Result, SessionKey, SessionStore, Ttl, Watch, When, Write,
    WriteOutcome, async_trait,
};
use session_memory::MemoryStore;

/// A store that overrides no provided method: a rename is a write and a delete, and a batch is sent
/// one by one.
#[derive(Debug)]
pub(crate) struct RequiredOnly(MemoryStore);

impl RequiredOnly {
    pub(crate) fn new() -> Self {
        Self(MemoryStore::new())
    }
}

#[async_trait]
impl SessionStore for RequiredOnly {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        tokio::task::yield_now().await;
        self.0.read(key).await
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        tokio::task::yield_now().await;
        self.0.write(key, write, when).await
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        tokio::task::yield_now().await;
        self.0.touch(key, ttl).await
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        tokio::task::yield_now().await;
        self.0.delete(key, expected).await
    }

    fn owners(&self) -> Option<&dyn OwnerIndex> {
        self.0.owners()
    }

    fn watch(&self) -> Option<&dyn Watch> {
        self.0.watch()
    }
}
