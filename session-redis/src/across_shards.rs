use session_backend::only;
use session_core::{
    DeleteItem, DeleteOutcome, Expected, Operation, Record, Result, SessionKey, SessionStore, TouchItem, Ttl,
    When, Write, WriteItem, WriteOutcome, async_trait,
};

use crate::core::Core;

/// The single operations of a rename in several steps, for two keys on different nodes of a cluster.
///
/// The only write creates the record under the new key. It waits while the sessions of its owner are
/// being deleted, so that none of them survives.
#[derive(Debug)]
pub(crate) struct AcrossShards<'a>(pub(crate) &'a Core);

#[async_trait]
impl SessionStore for AcrossShards<'_> {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.0.read(key).await
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        self.0.write_unless_fenced(WriteItem { key: *key, write, when }).await
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        only(Operation::Touch, self.0.touch_many(&[TouchItem { key: *key, ttl }]).await)
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        only(Operation::Delete, self.0.delete_many(&[DeleteItem { key: *key, expected }]).await)
    }
}
