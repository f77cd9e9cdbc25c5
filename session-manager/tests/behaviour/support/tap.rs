use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;

use session_core::{
    DeleteItem, DeleteOutcome, Error, Expected, Maintenance, Operation, OwnerIndex, Record, RenameOutcome,
    Result, SessionKey, SessionStore, TouchItem, Ttl, Version, Watch, When, Write, WriteItem, WriteOutcome,
    async_trait,
};

/// A wrapper around the store under test, which counts operations, loses replies of changes that
/// were carried out, and simulates an outage.
#[derive(Debug)]
pub(crate) struct Tap {
    store: Arc<dyn SessionStore>,
    pub(crate) reads: AtomicUsize,
    pub(crate) writes: AtomicUsize,
    pub(crate) touches: AtomicUsize,
    pub(crate) others: AtomicUsize,
    pub(crate) down: AtomicBool,
    /// The percentage of changes that are carried out and whose reply is lost.
    pub(crate) lose: AtomicU32,
    /// The percentage of changes that are lost before they are carried out.
    pub(crate) lose_requests: AtomicU32,
    pub(crate) lost: AtomicUsize,
    /// The next write is carried out or not, then `meanwhile` runs, and then the reply is lost.
    pub(crate) next_write: Mutex<Option<NextWrite>>,
    /// Runs before the next write or rename reaches the store.
    pub(crate) before_change: Meanwhile,
    /// Runs after the store has carried out the next write or rename, and before the reply arrives.
    pub(crate) before_reply: Meanwhile,
}

/// A future that runs once during a change.
#[derive(Default)]
pub(crate) struct Meanwhile(Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>);

impl Meanwhile {
    pub(crate) fn set(&self, what: impl Future<Output = ()> + Send + 'static) {
        *self.0.lock() = Some(Box::pin(what));
    }

    async fn happen(&self) {
        let what = self.0.lock().take();
        if let Some(what) = what {
            what.await;
        }
    }
}

impl fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Meanwhile").field(&self.0.lock().is_some()).finish()
    }
}

/// The outcome of the next write.
pub(crate) struct NextWrite {
    pub(crate) carried_out: bool,
    pub(crate) meanwhile: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl fmt::Debug for NextWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NextWrite").field("carried_out", &self.carried_out).finish_non_exhaustive()
    }
}

fn chance(percent: &AtomicU32) -> bool {
    rand::random_range(0..100) < percent.load(Relaxed)
}

impl Tap {
    pub(crate) fn new(store: Arc<dyn SessionStore>) -> Self {
        Self {
            store,
            reads: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
            touches: AtomicUsize::new(0),
            others: AtomicUsize::new(0),
            down: AtomicBool::new(false),
            lose: AtomicU32::new(0),
            lose_requests: AtomicU32::new(0),
            lost: AtomicUsize::new(0),
            next_write: Mutex::new(None),
            before_change: Meanwhile::default(),
            before_reply: Meanwhile::default(),
        }
    }

    /// The numbers of reads, writes, touches, and other operations.
    pub(crate) fn counts(&self) -> [usize; 4] {
        [&self.reads, &self.writes, &self.touches, &self.others].map(|count| count.load(Relaxed))
    }

    fn pass(&self, count: &AtomicUsize, operation: Operation) -> Result<()> {
        count.fetch_add(1, Relaxed);
        if self.down.load(Relaxed) { Err(Error::unavailable(operation, false)) } else { Ok(()) }
    }

    fn reply<T>(&self, outcome: Result<T>, operation: Operation) -> Result<T> {
        if outcome.is_ok() && chance(&self.lose) {
            self.lost.fetch_add(1, Relaxed);
            return Err(Error::unavailable(operation, true).because("the reply was lost"));
        }
        outcome
    }

    fn request(&self, operation: Operation) -> Result<()> {
        if chance(&self.lose_requests) {
            self.lost.fetch_add(1, Relaxed);
            return Err(Error::unavailable(operation, true)
                .because("the request was lost, which the sender cannot tell"));
        }
        Ok(())
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for Tap {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.pass(&self.reads, Operation::Read)?;
        self.store.read(key).await
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        self.pass(&self.writes, Operation::Write)?;
        let next = self.next_write.lock().take();
        if let Some(NextWrite { carried_out, meanwhile }) = next {
            if carried_out {
                let _ = self.store.write(key, write, when).await?;
            }
            meanwhile.await;
            return Err(Error::unavailable(Operation::Write, true).because("the reply was lost"));
        }
        self.request(Operation::Write)?;
        self.before_change.happen().await;
        let outcome = self.store.write(key, write, when).await;
        self.before_reply.happen().await;
        self.reply(outcome, Operation::Write)
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        self.pass(&self.touches, Operation::Touch)?;
        self.store.touch(key, ttl).await
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        self.pass(&self.others, Operation::Delete)?;
        self.reply(self.store.delete(key, expected).await, Operation::Delete)
    }

    async fn rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        self.pass(&self.others, Operation::Rename)?;
        self.before_change.happen().await;
        let outcome = self.store.rename(old, new, write, expected).await;
        self.before_reply.happen().await;
        self.reply(outcome, Operation::Rename)
    }

    async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        match self.pass(&self.others, Operation::Read) {
            Ok(()) => self.store.read_many(keys).await,
            Err(_) => keys.iter().map(|_| Err(Error::unavailable(Operation::Read, false))).collect(),
        }
    }

    async fn write_many(&self, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        self.store.write_many(items).await
    }

    async fn touch_many(&self, items: &[TouchItem]) -> Vec<Result<bool>> {
        self.store.touch_many(items).await
    }

    async fn delete_many(&self, items: &[DeleteItem]) -> Vec<Result<DeleteOutcome>> {
        self.store.delete_many(items).await
    }

    async fn ping(&self) -> Result<()> {
        self.store.ping().await
    }

    async fn close(&self) -> Result<()> {
        self.store.close().await
    }

    fn max_data_len(&self) -> usize {
        self.store.max_data_len()
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
