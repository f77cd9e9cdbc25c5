//! A session that cannot be read any more does not show what came of a write whose reply was lost.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use session_core::{
    DeleteOutcome, Error, Expected, Operation, Record, Result, SessionKey, SessionStore, Ttl, When, Write,
    WriteOutcome, async_trait,
};
use session_manager::SessionManager;
use session_memory::MemoryStore;

/// Carries out the next conditional write, loses the reply, and damages the record.
#[derive(Debug, Default)]
struct Damaging {
    store: MemoryStore,
    is_armed: AtomicBool,
}

#[async_trait]
impl SessionStore for Damaging {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.store.read(key).await
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        if matches!(when, When::Version(_)) && self.is_armed.swap(false, Ordering::Relaxed) {
            assert!(self.store.write(key, write, when).await?.is_written());
            let hour = Ttl::new(Duration::from_hours(1)).expect("an hour");
            assert!(self.store.write(key, Write::new("no session", hour), When::Any).await?.is_written());
            return Err(Error::unavailable(Operation::Write, true));
        }
        self.store.write(key, write, when).await
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        self.store.touch(key, ttl).await
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        self.store.delete(key, expected).await
    }
}

#[tokio::test]
async fn a_write_whose_reply_was_lost_may_have_applied() {
    let store = std::sync::Arc::new(Damaging::default());
    let manager = SessionManager::builder_shared(store.clone()).build().expect("settings");
    let session = manager.create();
    session.insert("n", &1).expect("a number");
    session.save().await.expect("a save");
    store.is_armed.store(true, Ordering::Relaxed);
    let error = session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).await.expect_err("it is damaged");
    assert!(error.may_have_applied(), "{error}");
}
