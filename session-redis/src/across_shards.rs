use session_core::{
    DeleteOutcome, Expected, Record, Result, SessionKey, SessionStore, Ttl, When, Write, WriteItem,
    WriteOutcome, async_trait,
};

use crate::direct::Direct;

/// The store with the provided rename, in several steps, for two keys that no one node of a cluster has.
///
/// Its only write creates the record under the new key. It waits while the sessions of its owner are being ended, so that none escapes.
#[derive(Debug)]
pub(crate) struct AcrossShards<'a>(pub(crate) &'a Direct);

#[async_trait]
impl SessionStore for AcrossShards<'_> {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.0.read(key).await
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        self.0.0.write_unless_fenced(WriteItem { key: *key, write, when }).await
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        self.0.touch(key, ttl).await
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        self.0.delete(key, expected).await
    }

    fn max_data_len(&self) -> usize {
        self.0.max_data_len()
    }
}
