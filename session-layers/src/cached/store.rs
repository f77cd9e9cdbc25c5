use std::{fmt, sync::Arc};

use session_core::{
    DeleteItem, DeleteOutcome, Error, ErrorKind, Expected, Maintenance, Operation, OwnerIndex, Record,
    RenameOutcome, Result, SessionKey, SessionStore, TouchItem, Ttl, Version, Watch, When, Write, WriteItem,
    WriteOutcome, async_trait,
};

use super::{
    CacheSettings, CacheStats,
    change::Change,
    listener,
    runtime::{Runtime, Task},
    table::{Look, Table},
};

/// A store behind a bounded in-process cache, which does not serve sessions that were ended.
///
/// The cache answers reads while its entries can be trusted. Everything else goes to the wrapped
/// store, which alone evaluates conditions. A stale entry can therefore cost a merge, but never an
/// update. Clones are handles on the same cache.
///
/// # What it promises
/// * **Changes through this cache** are visible to all reads that begin after the change has
///   returned.
/// * **Changes by others** are visible as soon as the store's [`Watch`] has reported them, usually
///   within milliseconds. In the worst case they are visible after
///   [`max_staleness`](CacheSettings::max_staleness), even if the connection that delivers the
///   events is frozen, or this process was.
/// * **If events may be missing**, because the watch is interrupted, has missed some, ended, or
///   does not report a change that was made through this cache, the cache drops all entries, and
///   reads go to the store until all events arrive again. The log and [`stats`](Self::stats) give
///   the reason.
/// * **An entry never outlives its record.** Data that was read before a change is never kept after
///   it.
/// * **One read of the store** is in flight for a session, however many readers wait for the
///   answer. A reader never shares a read that began before a change which this reader must see.
///   Errors are returned to the waiting readers and are not cached.
/// * All other promises of the wrapped store hold unchanged. A failing store fails reads of
///   sessions that are not cached. A cache that is not in use fails no read.
///
/// A store without a watch, or whose watch does not [hear all nodes](Watch::hears_all_nodes), needs
/// [`accept_staleness_without_watch`](CacheSettings::accept_staleness_without_watch).
///
/// # Cost
/// A hit is a look-up in memory and copies no data. A miss costs a task in addition to the store's
/// read. Entries hold their own copy of the data, in memory that
/// [`max_bytes`](CacheSettings::max_bytes) bounds.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use session_core::{Expected, SessionId, SessionStore, Ttl, When, Write};
/// use session_layers::{CacheExt, CacheSettings};
/// use session_memory::MemoryStore; // or any other store
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> session_core::Result<()> {
/// let (here, there) = { let store = MemoryStore::new(); (store.clone(), store) };
/// let store = here.cached(CacheSettings::default().max_staleness(Duration::from_secs(2)))?;
/// store.wait_until_ready().await;
///
/// let (key, ttl) = (SessionId::generate().key(), Ttl::new(Duration::from_secs(1800))?);
/// assert!(store.write(&key, Write::new("theme=dark", ttl), When::Absent).await?.is_written());
/// assert_eq!(store.read(&key).await?.expect("it is live").data, "theme=dark");
/// assert_eq!(store.stats().hits, 1);
///
/// // Another node ends the session: it is gone here, too, as soon as the event has arrived.
/// let _ = there.delete(&key, Expected::Any).await?;
/// while store.read(&key).await?.is_some() {
///     tokio::task::yield_now().await;
/// }
/// # Ok(()) }
/// ```
pub struct Cached<S> {
    pub(crate) inner: Arc<Inner<S>>,
}

pub(crate) struct Inner<S> {
    pub(crate) store: Arc<S>,
    pub(crate) table: Arc<Table>,
    pub(crate) runtime: Runtime,
    /// The task that reads the store's events while there are handles. `None` if the store has no
    /// watch.
    listener: Option<Task>,
}

impl<S: SessionStore + 'static> Cached<S> {
    /// Creates a cache over `store`.
    ///
    /// Returns at once. Reads go to the store until the store's watch is subscribed;
    /// [`wait_until_ready`](Self::wait_until_ready) waits for that. The cache's tasks run on the runtime that
    /// this is called in. When that runtime shuts down, reads go to the store.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config)
    /// * if the store has no [`watch`](SessionStore::watch), or one that does not
    ///   [hear all nodes](Watch::hears_all_nodes), unless the resulting
    ///   [staleness](CacheSettings::accept_staleness_without_watch) is accepted,
    /// * if the settings leave no room or no time to keep anything,
    /// * outside of a tokio runtime.
    pub fn new(store: S, settings: CacheSettings) -> Result<Self> {
        settings.check()?;
        let runtime = Runtime::current()?;
        let is_watched = store.watch().is_some();
        let hears_all = store.watch().is_some_and(Watch::hears_all_nodes);
        if !hears_all && !settings.accepts_staleness {
            return Err(Error::new(ErrorKind::Config, Operation::Connect).because(
                "this store does not tell of changes by other nodes, so a session that was ended elsewhere could be read here for up to max_staleness; \
                 to have that, call accept_staleness_without_watch()",
            ));
        }
        let (store, table) = (Arc::new(store), Arc::new(Table::new(&settings, is_watched)));
        let listening = is_watched.then(|| listener::listen(Arc::downgrade(&store), Arc::clone(&table)));
        let listener = listening.map(|listening| runtime.start(listening));
        Ok(Self { inner: Arc::new(Inner { store, table, runtime, listener }) })
    }

    /// Waits until the cache is in use: for tests and benchmarks.
    ///
    /// The cache need not stay in use. Waits for ever if the store was closed.
    pub async fn wait_until_ready(&self) {
        while self.inner.table.epoch.current().is_none() {
            Runtime::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
}

impl<S> Cached<S> {
    /// Returns the cache's statistics so far. Costs about a microsecond.
    pub fn stats(&self) -> CacheStats {
        self.inner.table.stats()
    }

    /// Drops all entries, for operators. The next read of each session asks the store.
    pub fn clear(&self) {
        self.inner.table.flush();
    }

    /// The wrapped store. The cache treats changes through it as changes by others.
    pub fn get_ref(&self) -> &S {
        &self.inner.store
    }

    fn begin(&self, key: &SessionKey, version: Option<Version>) -> Change {
        Change::begin(&self.inner.table, key, version)
    }
}

// Not derived, because deriving it would require the wrapped store to be `Clone`.
impl<S> Clone for Cached<S> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

// Not derived, because the entries are session data, which must not be logged.
impl<S: fmt::Debug> fmt::Debug for Cached<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").field("store", &self.inner.store).field("cache", &self.inner.table).finish()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: SessionStore + 'static> SessionStore for Cached<S> {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        match self.inner.table.look(key) {
            Look::Found(record) => Ok(Some(record)),
            Look::Unknown => Ok(None),
            Look::Miss => self.read_through(key).await,
            Look::Bypass => self.read_past(key).await,
        }
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        let change = self.begin(key, Some(write.version));
        let foreseen = change.foresee(&write, when);
        let outcome = self.inner.store.write(key, write, when).await;
        change.written(foreseen, &outcome);
        outcome
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        let change = self.begin(key, None);
        let outcome = self.inner.store.touch(key, ttl).await;
        change.touched(ttl, &outcome);
        outcome
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        let change = self.begin(key, None);
        let outcome = self.inner.store.delete(key, expected).await;
        change.deleted(&outcome);
        outcome
    }

    async fn rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        let (from, to) = (self.begin(old, None), self.begin(new, Some(write.version)));
        // `OwnerChange::Keep` keeps the owner of the old record.
        let foreseen = from.foresee(&write, When::Version(expected));
        let outcome = self.inner.store.rename(old, new, write, expected).await;
        from.renamed_away(&outcome);
        to.renamed_here(foreseen, &outcome);
        outcome
    }

    async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        self.read_many_through(keys).await
    }

    async fn write_many(&self, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        let begin = |item: &WriteItem| {
            let change = self.begin(&item.key, Some(item.write.version));
            let foreseen = change.foresee(&item.write, item.when);
            (change, foreseen)
        };
        let changes: Vec<_> = items.iter().map(begin).collect();
        let outcomes = self.inner.store.write_many(items).await;
        for ((change, foreseen), outcome) in changes.into_iter().zip(&outcomes) {
            change.written(foreseen, outcome);
        }
        outcomes
    }

    async fn touch_many(&self, items: &[TouchItem]) -> Vec<Result<bool>> {
        let changes: Vec<_> = items.iter().map(|item| (self.begin(&item.key, None), item.ttl)).collect();
        let outcomes = self.inner.store.touch_many(items).await;
        for ((change, ttl), outcome) in changes.into_iter().zip(&outcomes) {
            change.touched(ttl, outcome);
        }
        outcomes
    }

    async fn delete_many(&self, items: &[DeleteItem]) -> Vec<Result<DeleteOutcome>> {
        let changes: Vec<_> = items.iter().map(|item| self.begin(&item.key, None)).collect();
        let outcomes = self.inner.store.delete_many(items).await;
        for (change, outcome) in changes.into_iter().zip(&outcomes) {
            change.deleted(outcome);
        }
        outcomes
    }

    /// Pings the wrapped store, which is what has to be ready.
    async fn ping(&self) -> Result<()> {
        self.inner.store.ping().await
    }

    /// Ends the use of the cache, and closes the wrapped store.
    async fn close(&self) -> Result<()> {
        if let Some(listener) = &self.inner.listener {
            listener.end();
        }
        self.inner.table.shut();
        self.inner.store.close().await
    }

    fn max_data_len(&self) -> usize {
        self.inner.store.max_data_len()
    }

    fn owners(&self) -> Option<&dyn OwnerIndex> {
        self.inner.store.owners().map(|_| self as &dyn OwnerIndex)
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        self.inner.store.maintenance()
    }

    fn watch(&self) -> Option<&dyn Watch> {
        self.inner.store.watch().map(|_| self as &dyn Watch)
    }
}
