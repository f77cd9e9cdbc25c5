use std::{fmt, sync::Arc};

use session_core::{
    DeleteItem, DeleteOutcome, Error, ErrorKind, Expected, Maintenance, Operation, OwnerIndex, Record,
    RenameOutcome, Result, SessionKey, SessionStore, TouchItem, Ttl, Version, Watch, When, Write, WriteItem,
    WriteOutcome, async_trait,
};

use super::{
    CacheSettings, CacheStats,
    change::Change,
    l1::{L1, Look},
    listener,
    runtime::{Runtime, Task},
};

/// A store with a bounded cache in this process in front of it, which does not serve sessions that were ended.
///
/// Reads are answered by the cache where it can be trusted; everything else goes to the store within, and conditions are always judged there. So what is
/// stale can cost a merge, and never an update. Clones are handles on the same cache.
///
/// # What it promises
/// * **Changes through this cache** are seen by all reads that begin after they have returned.
/// * **Changes by others** are seen as soon as the store's [`Watch`] has told of them, usually within milliseconds, and at the very worst
///   after [`max_staleness`](CacheSettings::max_staleness): also if the connection that tells is frozen, or this process was.
/// * **If it is not certain that all changes are heard**, because the watch is interrupted, has
///   missed some, ended, or does not tell of a change that was made through this cache, everything
///   that is kept is forgotten, and reads go to the store until all is heard again. The log and
///   [`stats`](Self::stats) say so, with the reason.
/// * **An entry never outlives its record.** What was read before a change is never kept after it.
/// * **One question** is under way for a session, however many readers wait for the answer. No reader shares one that began before a change that this
///   reader must see. Errors are given to those who wait, and not kept.
/// * All other promises of the store within hold as they are. A failing store fails reads of what is not kept; a cache that cannot be used fails none.
///
/// A store without a watch, or whose watch does not [hear all nodes](Watch::hears_all_nodes), needs
/// [`accept_staleness_without_watch`](CacheSettings::accept_staleness_without_watch).
///
/// # Cost
/// A hit is a look-up in memory and copies no data. A miss costs a task beside the store's reading. Entries hold data of their own, in memory that is bounded by
/// [`max_bytes`](CacheSettings::max_bytes).
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
/// store.until_whole().await;
///
/// let (key, ttl) = (SessionId::generate().key(), Ttl::new(Duration::from_secs(1800))?);
/// assert!(store.write(&key, Write::new("theme=dark", ttl), When::Absent).await?.is_written());
/// assert_eq!(store.read(&key).await?.expect("it is live").data, "theme=dark");
/// assert_eq!(store.stats().hits, 1);
///
/// // Ended by another node: gone here, too, as soon as that was heard of.
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
    pub(crate) l1: Arc<L1>,
    pub(crate) runtime: Runtime,
    /// Listens as long as there are handles. Not there if the store tells nothing.
    listener: Option<Task>,
}

impl<S: SessionStore + 'static> Cached<S> {
    /// A cache over `store`.
    ///
    /// Returns at once. The cache is used as soon as the store's watch is heard, which [`until_whole`](Self::until_whole) waits for; until then, reads go to
    /// the store. Its tasks run on the runtime that this is called in. When that shuts down, so does the cache, and reads go to the store.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config)
    /// * if the store has no [`watch`](SessionStore::watch), or one that does not [hear all nodes](Watch::hears_all_nodes), unless the [staleness](CacheSettings::accept_staleness_without_watch) that follows is accepted,
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
        let (store, l1) = (Arc::new(store), Arc::new(L1::new(&settings, is_watched)));
        let listening = is_watched.then(|| listener::listen(Arc::downgrade(&store), Arc::clone(&l1)));
        let listener = listening.map(|listening| runtime.start(listening));
        Ok(Self { inner: Arc::new(Inner { store, l1, runtime, listener }) })
    }

    /// Waits until the cache is used: for tests and benchmarks. It need not stay so. Waits for ever if the store was closed.
    pub async fn until_whole(&self) {
        while self.inner.l1.gate.epoch().is_none() {
            Runtime::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
}

impl<S> Cached<S> {
    /// What the cache has done so far. Costs about a microsecond.
    pub fn stats(&self) -> CacheStats {
        self.inner.l1.stats()
    }

    /// Forgets everything that is kept, for operators. Whoever reads next asks the store.
    pub fn clear(&self) {
        self.inner.l1.flush();
    }

    /// The store within. What is changed through it is a change by others to this cache.
    pub fn get_ref(&self) -> &S {
        &self.inner.store
    }

    fn begin(&self, key: &SessionKey, version: Option<Version>) -> Change {
        Change::begin(&self.inner.l1, key, version)
    }
}

// By hand, because deriving it would ask the store within to be `Clone`.
impl<S> Clone for Cached<S> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

// By hand, because what is kept is session data, which belongs into no log.
impl<S: fmt::Debug> fmt::Debug for Cached<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").field("store", &self.inner.store).field("cache", &self.inner.l1).finish()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: SessionStore + 'static> SessionStore for Cached<S> {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        match self.inner.l1.look(key) {
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
        // The owner that is kept is the old record's.
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

    /// Asks the store within, which is what has to be ready.
    async fn ping(&self) -> Result<()> {
        self.inner.store.ping().await
    }

    /// Ends the use of the cache, and closes the store within.
    async fn close(&self) -> Result<()> {
        if let Some(listener) = &self.inner.listener {
            listener.end();
        }
        self.inner.l1.shut();
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
