use session_core::{
    DeleteOutcome, Expected, Record, Result, SessionKey, SessionStore, Ttl, When, Write, WriteOutcome,
    async_trait,
};
use session_memory::MemoryStore;
use tokio::task::yield_now;

/// A store that yields before and after each operation, so that other calls arrive meanwhile.
#[derive(Debug)]
pub(crate) struct Waits(pub(crate) MemoryStore);

#[async_trait]
impl SessionStore for Waits {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        yield_now().await;
        let outcome = self.0.read(key).await;
        yield_now().await;
        outcome
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        yield_now().await;
        let outcome = self.0.write(key, write, when).await;
        yield_now().await;
        outcome
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        yield_now().await;
        self.0.touch(key, ttl).await
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        yield_now().await;
        self.0.delete(key, expected).await
    }
}
