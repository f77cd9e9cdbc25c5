use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};
use session_core::{
    Cursor, DeleteItem, DeleteOutcome, Error, Expected, Maintenance, Operation, Owner, OwnerIndex, Page,
    Record, RenameOutcome, Result, SessionKey, SessionStore, TouchItem, Ttl, Version, Watch, When, Write,
    WriteItem, WriteOutcome, async_trait,
};

/// A store whose operations are counted and timed, through the [`metrics`] facade and [`tracing`].
/// It keeps every promise of the wrapped store.
///
/// | metric | kind | labels | what |
/// | --- | --- | --- | --- |
/// | `session_store_operations_total` | counter | `operation` | operations; each item of a batch is one |
/// | `session_store_errors_total` | counter | `operation`, `kind` | operations that failed |
/// | `session_store_conflicts_total` | counter | `operation` | operations whose condition did not hold |
/// | `session_store_duration_seconds` | histogram | `operation` | how long calls took; a batch is one call |
/// | `session_store_batch_size` | histogram | `operation` | items of a batch |
/// | `sessions_created_total` | counter | | sessions that were created through this handle |
/// | `sessions_ended_total` | counter | | sessions that were deleted through this handle, expiry not included |
/// | `sessions_live` | gauge | | live sessions in the store, as of the last [`sample`](Self::sample) |
/// | `sessions_live_peak` | gauge | | the most live sessions in any sample of this process |
/// | `sessions_lifetime_mean_seconds` | gauge | | live sessions divided by sessions created per second (Little's law), since this handle was created |
///
/// `tracing` receives each failure as an event of level `WARN`, and each call as one of level
/// `TRACE`. Metrics and events contain no id, no key and no data.
///
/// The creation rate, and with it the mean lifetime, covers this process alone, while the live
/// sessions are those of the whole store. With several processes, divide `sessions_live` by the sum
/// of their rates.
///
/// ```
/// use session_layers::Metered;
/// use session_manager::SessionManager;
/// use session_memory::MemoryStore;
///
/// let manager = SessionManager::new(Metered::new(MemoryStore::new()));
/// ```
pub struct Metered<S> {
    store: S,
    calls: [Call; CALLS.len()],
    created: Counter,
    ended: Counter,
    census: Census,
}

/// The measured operations, in the order of [`Metered::calls`].
const CALLS: [Operation; 12] = [
    Operation::Read,
    Operation::Write,
    Operation::Touch,
    Operation::Delete,
    Operation::Rename,
    Operation::ListOwner,
    Operation::CountOwner,
    Operation::DeleteOwner,
    Operation::Page,
    Operation::Count,
    Operation::Purge,
    Operation::Ping,
];

/// The metrics of one operation.
struct Call {
    operation: Operation,
    operations: Counter,
    conflicts: Counter,
    duration: Histogram,
    batch: Histogram,
}

/// The numbers of live and of created sessions.
struct Census {
    live: Gauge,
    peak: Gauge,
    lifetime: Gauge,
    most: AtomicU64,
    created: AtomicU64,
    since: Instant,
}

impl<S: SessionStore> Metered<S> {
    /// Meters `store` through the recorder that is installed now. Install the recorder first.
    pub fn new(store: S) -> Self {
        describe();
        Self {
            store,
            calls: CALLS.map(Call::new),
            created: counter!("sessions_created_total"),
            ended: counter!("sessions_ended_total"),
            census: Census {
                live: gauge!("sessions_live"),
                peak: gauge!("sessions_live_peak"),
                lifetime: gauge!("sessions_lifetime_mean_seconds"),
                most: AtomicU64::new(0),
                created: AtomicU64::new(0),
                since: Instant::now(),
            },
        }
    }

    /// The wrapped store.
    pub fn get_ref(&self) -> &S {
        &self.store
    }

    /// Counts the live sessions once, and sets the gauges. `None` if the store cannot count.
    ///
    /// Call it every minute or so. It costs as much as [`Maintenance::count`].
    ///
    /// # Errors
    /// As [`Maintenance::count`].
    pub async fn sample(&self) -> Result<Option<u64>> {
        let Some(maintenance) = self.store.maintenance() else { return Ok(None) };
        let live = self.time(Operation::Count, maintenance.count()).await?;
        self.census.note(live);
        Ok(Some(live))
    }

    fn call(&self, operation: Operation) -> &Call {
        self.calls.iter().find(|call| call.operation == operation).unwrap_or(&self.calls[0])
    }

    /// Times one call, and counts it as one operation.
    async fn time<T>(&self, operation: Operation, call: impl Future<Output = Result<T>>) -> Result<T> {
        let (begun, result) = (Instant::now(), call.await);
        let meters = self.call(operation);
        meters.took(begun.elapsed(), 1);
        if let Err(error) = &result {
            meters.failed(error);
        }
        result
    }

    /// Times one batch, and counts each of its items.
    async fn time_many<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Vec<Result<T>>>,
    ) -> Vec<Result<T>> {
        let (begun, results) = (Instant::now(), call.await);
        let meters = self.call(operation);
        meters.took(begun.elapsed(), results.len());
        meters.batch.record(float(results.len() as u64));
        results.iter().filter_map(|result| result.as_ref().err()).for_each(|error| meters.failed(error));
        results
    }

    fn wrote(&self, when: When, outcome: &Result<WriteOutcome>) {
        match outcome {
            Ok(WriteOutcome::Written) if when == When::Absent => {
                self.created.increment(1);
                self.census.created.fetch_add(1, Relaxed);
            }
            Ok(WriteOutcome::Conflict(_)) => self.call(Operation::Write).conflicts.increment(1),
            _ => {}
        }
    }

    fn deleted(&self, outcome: &Result<DeleteOutcome>) {
        match outcome {
            Ok(DeleteOutcome::Deleted) => self.ended.increment(1),
            Ok(DeleteOutcome::Conflict) => self.call(Operation::Delete).conflicts.increment(1),
            _ => {}
        }
    }
}

impl Call {
    fn new(operation: Operation) -> Self {
        let name = operation.name();
        Self {
            operation,
            operations: counter!("session_store_operations_total", "operation" => name),
            conflicts: counter!("session_store_conflicts_total", "operation" => name),
            duration: histogram!("session_store_duration_seconds", "operation" => name),
            batch: histogram!("session_store_batch_size", "operation" => name),
        }
    }

    fn took(&self, time: Duration, items: usize) {
        self.operations.increment(items as u64);
        self.duration.record(time);
        tracing::trace!(operation = self.operation.name(), items, ?time, "session store");
    }

    fn failed(&self, error: &Error) {
        let (operation, kind) = (self.operation.name(), kind(error));
        counter!("session_store_errors_total", "operation" => operation, "kind" => kind).increment(1);
        tracing::warn!(operation, kind, %error, "session store");
    }
}

impl Census {
    fn note(&self, live: u64) {
        let most = self.most.fetch_max(live, Relaxed).max(live);
        self.live.set(float(live));
        self.peak.set(float(most));
        let created = self.created.load(Relaxed);
        if created > 0 {
            self.lifetime.set(float(live) * self.since.elapsed().as_secs_f64() / float(created));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to nine million billions")]
fn float(number: u64) -> f64 {
    number as f64
}

fn kind(error: &Error) -> &'static str {
    use session_core::ErrorKind as Kind;
    match error.kind() {
        Kind::Unavailable { may_have_applied: true } => "unknown_outcome",
        Kind::Unavailable { .. } => "unavailable",
        Kind::TooLarge { .. } => "too_large",
        Kind::InvalidTtl | Kind::InvalidOwner | Kind::InvalidId => "invalid",
        Kind::Full => "full",
        Kind::Corrupt => "corrupt",
        Kind::Unsupported => "unsupported",
        Kind::Config => "config",
        Kind::Closed => "closed",
        _ => "internal",
    }
}

fn describe() {
    use metrics::Unit::{Count, Seconds};
    describe_counter!(
        "session_store_operations_total",
        Count,
        "operations on the session store; each item of a batch is one"
    );
    describe_counter!("session_store_errors_total", Count, "operations that failed");
    describe_counter!("session_store_conflicts_total", Count, "operations whose condition did not hold");
    describe_histogram!(
        "session_store_duration_seconds",
        Seconds,
        "how long calls took; a batch is one call"
    );
    describe_histogram!("session_store_batch_size", Count, "items of a batch");
    describe_counter!("sessions_created_total", Count, "sessions that were created");
    describe_counter!("sessions_ended_total", Count, "sessions that were deleted, expiry not included");
    describe_gauge!("sessions_live", Count, "live sessions in the store");
    describe_gauge!("sessions_live_peak", Count, "the most live sessions that were seen");
    describe_gauge!(
        "sessions_lifetime_mean_seconds",
        Seconds,
        "live sessions divided by sessions created a second"
    );
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: SessionStore> SessionStore for Metered<S> {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.time(Operation::Read, self.store.read(key)).await
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        let outcome = self.time(Operation::Write, self.store.write(key, write, when)).await;
        self.wrote(when, &outcome);
        outcome
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        self.time(Operation::Touch, self.store.touch(key, ttl)).await
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        let outcome = self.time(Operation::Delete, self.store.delete(key, expected)).await;
        self.deleted(&outcome);
        outcome
    }

    async fn rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        let outcome = self.time(Operation::Rename, self.store.rename(old, new, write, expected)).await;
        if let Ok(RenameOutcome::Conflict(_) | RenameOutcome::Occupied) = &outcome {
            self.call(Operation::Rename).conflicts.increment(1);
        }
        outcome
    }

    async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        self.time_many(Operation::Read, self.store.read_many(keys)).await
    }

    async fn write_many(&self, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        let outcomes = self.time_many(Operation::Write, self.store.write_many(items)).await;
        items.iter().zip(&outcomes).for_each(|(item, outcome)| self.wrote(item.when, outcome));
        outcomes
    }

    async fn touch_many(&self, items: &[TouchItem]) -> Vec<Result<bool>> {
        self.time_many(Operation::Touch, self.store.touch_many(items)).await
    }

    async fn delete_many(&self, items: &[DeleteItem]) -> Vec<Result<DeleteOutcome>> {
        let outcomes = self.time_many(Operation::Delete, self.store.delete_many(items)).await;
        for outcome in &outcomes {
            self.deleted(outcome);
        }
        outcomes
    }

    async fn ping(&self) -> Result<()> {
        self.time(Operation::Ping, self.store.ping()).await
    }

    async fn close(&self) -> Result<()> {
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
        self.store.watch()
    }
}

/// The error for an operation that the wrapped store lacks. Unreachable through `owners` and
/// `maintenance`.
fn lacking(operation: Operation) -> Error {
    Error::new(session_core::ErrorKind::Config, operation).because("the store within cannot do this")
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: SessionStore> OwnerIndex for Metered<S> {
    async fn list(&self, owner: &Owner) -> Result<Vec<SessionKey>> {
        let owners = self.store.owners().ok_or_else(|| lacking(Operation::ListOwner))?;
        self.time(Operation::ListOwner, owners.list(owner)).await
    }

    async fn count(&self, owner: &Owner) -> Result<u64> {
        let owners = self.store.owners().ok_or_else(|| lacking(Operation::CountOwner))?;
        self.time(Operation::CountOwner, owners.count(owner)).await
    }

    async fn delete_all(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<Vec<SessionKey>> {
        let owners = self.store.owners().ok_or_else(|| lacking(Operation::DeleteOwner))?;
        let ended = self.time(Operation::DeleteOwner, owners.delete_all(owner, except)).await?;
        self.ended.increment(ended.len() as u64);
        Ok(ended)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: SessionStore> Maintenance for Metered<S> {
    async fn page(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        let maintenance = self.store.maintenance().ok_or_else(|| lacking(Operation::Page))?;
        self.time(Operation::Page, maintenance.page(cursor, limit)).await
    }

    async fn count(&self) -> Result<u64> {
        let maintenance = self.store.maintenance().ok_or_else(|| lacking(Operation::Count))?;
        self.time(Operation::Count, maintenance.count()).await
    }

    async fn purge_expired(&self, limit: usize) -> Result<u64> {
        let maintenance = self.store.maintenance().ok_or_else(|| lacking(Operation::Purge))?;
        self.time(Operation::Purge, maintenance.purge_expired(limit)).await
    }
}

impl<S: fmt::Debug> fmt::Debug for Metered<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metered").field("store", &self.store).finish_non_exhaustive()
    }
}
