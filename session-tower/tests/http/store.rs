use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use session_core::{
    DeleteOutcome, Error, Expected, Maintenance, Operation, OwnerIndex, Record, RenameOutcome, Result,
    SessionKey, SessionStore, Ttl, Version, Watch, When, Write, WriteOutcome, async_trait,
};

/// A wrapper that counts the calls of a store, and can fail them as if the server was gone.
#[derive(Debug)]
pub(crate) struct Tap {
    store: Arc<dyn SessionStore>,
    calls: AtomicUsize,
    refuse_reads: AtomicBool,
    refuse_changes: AtomicBool,
    end_after_read: AtomicBool,
    lose_reply: AtomicBool,
}

impl Tap {
    pub(crate) fn new(store: Arc<dyn SessionStore>) -> Self {
        Self {
            store,
            calls: AtomicUsize::new(0),
            refuse_reads: AtomicBool::new(false),
            refuse_changes: AtomicBool::new(false),
            end_after_read: AtomicBool::new(false),
            lose_reply: AtomicBool::new(false),
        }
    }

    /// Returns the number of calls since the last call of this.
    pub(crate) fn calls(&self) -> usize {
        self.calls.swap(0, SeqCst)
    }

    pub(crate) fn refuse_reads(&self, refuse: bool) {
        self.refuse_reads.store(refuse, SeqCst);
    }

    pub(crate) fn refuse_changes(&self, refuse: bool) {
        self.refuse_changes.store(refuse, SeqCst);
    }

    /// Ends the next session that is read right after the read, as another request would.
    pub(crate) fn end_after_read(&self) {
        self.end_after_read.store(true, SeqCst);
    }

    /// Carries out the next write, and loses its reply.
    pub(crate) fn lose_reply(&self) {
        self.lose_reply.store(true, SeqCst);
    }

    /// The number of sessions in the store.
    pub(crate) async fn count(&self) -> u64 {
        self.store.maintenance().expect("all of them have it").count().await.expect("a count")
    }

    fn ask(&self, operation: Operation) -> Result<()> {
        self.calls.fetch_add(1, SeqCst);
        let cut = match operation {
            Operation::Read => self.refuse_reads.load(SeqCst),
            _ => self.refuse_changes.load(SeqCst),
        };
        if cut {
            Err(Error::unavailable(operation, false).because("the test has cut it off"))
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl SessionStore for Tap {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.ask(Operation::Read)?;
        let found = self.store.read(key).await;
        if self.end_after_read.swap(false, SeqCst) {
            assert_eq!(self.store.delete(key, Expected::Any).await?, DeleteOutcome::Deleted);
        }
        found
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        self.ask(Operation::Write)?;
        let outcome = self.store.write(key, write, when).await;
        if self.lose_reply.swap(false, SeqCst) {
            assert!(outcome?.is_written(), "there is something to lose");
            return Err(Error::unavailable(Operation::Write, true).because("the test has lost the reply"));
        }
        outcome
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        self.ask(Operation::Touch)?;
        self.store.touch(key, ttl).await
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        self.ask(Operation::Delete)?;
        self.store.delete(key, expected).await
    }

    async fn rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        self.ask(Operation::Rename)?;
        self.store.rename(old, new, write, expected).await
    }

    fn owners(&self) -> Option<&dyn OwnerIndex> {
        self.store.owners()
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        self.store.maintenance()
    }

    fn watch(&self) -> Option<&dyn Watch> {
        self.store.watch()
    }
}
