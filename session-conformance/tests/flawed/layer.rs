use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use session_conformance::Target;
use session_core::{
    Cursor, Error, ErrorKind, Event, Operation, Owner, Record, Result, SessionKey, SessionStore,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit, broadcast, watch},
    task::yield_now,
    time::sleep,
};

use super::{Flaw, Handle, Kind, Op};

/// The answer to a read in flight.
type Asked = watch::Receiver<Option<Result<Option<Record>>>>;

/// One handle with a mistake.
pub(crate) struct Flawed {
    pub(super) inner: Arc<dyn SessionStore>,
    flaw: Flaw,
    is_second: bool,
    pub(super) shared: Arc<Shared>,
    pub(super) cache: Mutex<HashMap<SessionKey, (u64, Option<Record>)>>,
    pub(super) closed: Arc<AtomicBool>,
    places: Semaphore,
    /// The answers to the reads in flight.
    pub(super) asked: Mutex<HashMap<SessionKey, Asked>>,
    broken: AtomicBool,
    /// The number of calls in flight.
    under_way: AtomicU32,
    /// The last count, and how often it was returned.
    pub(super) counted: Mutex<Option<(u64, u32)>>,
    /// The position of the listing.
    pub(super) place: Mutex<Option<Cursor>>,
}

/// The state that the mistakes of a namespace share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) memory: Mutex<Memory>,
    pub(super) early: broadcast::Sender<Event>,
    /// The stores of all namespaces.
    pub(super) all: Arc<Mutex<BTreeMap<String, Arc<dyn SessionStore>>>>,
    pub(super) all_closed: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The last record seen under each key, and the time.
    pub(super) last: HashMap<SessionKey, (Record, Instant)>,
    /// How often each key was changed in a way that the caches of other handles notice.
    pub(super) changes: HashMap<SessionKey, u64>,
    /// The expiry of each record.
    pub(super) ends: HashMap<SessionKey, Instant>,
    /// The last requested ttl.
    pub(super) ttls: HashMap<SessionKey, Duration>,
    pub(super) muted: BTreeSet<SessionKey>,
    pub(super) unlisted: BTreeSet<SessionKey>,
    pub(super) ghosts: BTreeSet<(String, SessionKey)>,
    pub(super) locks: HashMap<SessionKey, Arc<tokio::sync::Mutex<()>>>,
}

/// The reference store under a layer with this mistake, with all hooks.
pub(crate) fn target(flaw: Flaw) -> Target {
    let all = Arc::new(Mutex::new(BTreeMap::new()));
    let spaces: Arc<Mutex<HashMap<String, Arc<Shared>>>> = Arc::default();
    let all_closed = Arc::<AtomicBool>::default();
    let of = move |namespace: &str, store: &Arc<dyn SessionStore>| {
        lock(&all).entry(namespace.to_owned()).or_insert_with(|| store.clone());
        let shared = || Arc::new(Shared::new(Arc::clone(&all), Arc::clone(&all_closed)));
        lock(&spaces).entry(namespace.to_owned()).or_insert_with(shared).clone()
    };
    crate::reference_store::target_under(None, move |namespace, number, store| {
        let shared = of(namespace, &store);
        Arc::new(Flawed::new(store, flaw, number > 0, shared))
    })
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Yields to other tasks a few times. Simulates the gap in "check, then act".
pub(super) async fn gap() {
    for _ in 0..4 {
        yield_now().await;
    }
}

/// The number of permits for concurrent calls.
const PLACES: usize = 16;

/// A permit that is leaked unless it is returned.
struct LostPlace<'a>(Option<SemaphorePermit<'a>>);

impl LostPlace<'_> {
    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for LostPlace<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.0.take() {
            place.forget();
        }
    }
}

impl Shared {
    fn new(all: Arc<Mutex<BTreeMap<String, Arc<dyn SessionStore>>>>, all_closed: Arc<AtomicBool>) -> Self {
        Self { memory: Mutex::default(), early: broadcast::channel(1_024).0, all, all_closed }
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        lock(&self.memory)
    }
}

impl fmt::Debug for Flawed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flawed").finish_non_exhaustive()
    }
}

impl Flawed {
    fn new(inner: Arc<dyn SessionStore>, flaw: Flaw, is_second: bool, shared: Arc<Shared>) -> Self {
        Self {
            inner,
            flaw,
            is_second,
            shared,
            cache: Mutex::default(),
            closed: Arc::default(),
            places: Semaphore::new(PLACES),
            asked: Mutex::default(),
            broken: AtomicBool::default(),
            under_way: AtomicU32::default(),
            counted: Mutex::default(),
            place: Mutex::default(),
        }
    }

    /// Whether this handle makes this mistake in this operation.
    pub(super) fn has(&self, kind: Kind, op: Op) -> bool {
        let Flaw { kind: its_kind, op: its_op, handle } = self.flaw;
        its_kind == kind && its_op == op && (handle == Handle::Both || self.is_second)
    }

    /// The operation with the mistake, if the mistake is of this kind.
    pub(super) fn in_op(&self, kind: Kind) -> Option<Op> {
        let Flaw { op, .. } = self.flaw;
        self.has(kind, op).then_some(op)
    }

    pub(super) fn close_handle(&self) -> Result<()> {
        self.closed.store(true, Ordering::SeqCst);
        if self.in_op(Kind::IsWaitedFor).is_some() && self.under_way.load(Ordering::SeqCst) > 0 {
            return Err(Error::unavailable(Operation::Close, false));
        }
        Ok(())
    }

    /// Makes a call with the mistakes on a failure and on a closed store. `empty` is the answer for
    /// no record.
    pub(super) async fn guarded<T>(
        &self,
        op: Op,
        empty: impl FnOnce() -> T,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let internal = || Error::new(ErrorKind::Internal, Operation::Read);
        let unavailable = || Error::unavailable(Operation::Read, false);
        if self.has(Kind::ClosesOthers, op) && self.shared.all_closed.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Closed, Operation::Read));
        }
        if self.closed.load(Ordering::SeqCst) {
            if self.has(Kind::IsInternalWhenClosed, op) {
                return Err(internal());
            }
            if self.has(Kind::HangsWhenClosed, op) {
                std::future::pending::<()>().await;
            }
        }
        if self.has(Kind::NeverRecovers, op) && self.broken.load(Ordering::SeqCst) {
            return Err(unavailable());
        }
        let place = if self.has(Kind::LosesPlaces, op) {
            self.places.acquire().await.ok().map(|place| LostPlace(Some(place)))
        } else {
            None
        };
        let is_counted = self.has(Kind::IsWaitedFor, op);
        self.under_way.fetch_add(u32::from(is_counted), Ordering::SeqCst);
        if self.has(Kind::IsCutOff, op) && !self.closed.load(Ordering::SeqCst) {
            gap().await;
            if self.closed.load(Ordering::SeqCst) {
                return Err(Error::new(ErrorKind::Closed, Operation::Read));
            }
        }
        let answer = call.await;
        self.under_way.fetch_sub(u32::from(is_counted), Ordering::SeqCst);
        if let Some(place) = place {
            place.give_back();
        }
        let error = match answer {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let is_foreign = matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported);
        if is_foreign && self.has(Kind::ForeignIsNothing, op)
            || error.is_transient() && self.has(Kind::IsEmptyInOutage, op)
        {
            return Ok(empty());
        }
        if !error.is_transient() {
            return Err(error);
        }
        self.broken.store(true, Ordering::SeqCst);
        if self.has(Kind::HangsInOutage, op) {
            sleep(Duration::from_secs(6)).await;
        }
        Err(match () {
            () if self.has(Kind::IsInternalInOutage, op) => internal(),
            () if self.has(Kind::SaysNotApplied, op) => unavailable(),
            () => error,
        })
    }

    /// Records a change of these keys, for the mistakes that depend on earlier changes.
    pub(super) fn begin_change(&self, op: Op, keys: &[SessionKey]) {
        let mut memory = self.shared.memory();
        for key in keys {
            if self.in_op(Kind::StaysStale) != Some(op) {
                *memory.changes.entry(*key).or_default() += 1;
            }
            if self.has(Kind::IsNotHeard, op) || self.has(Kind::IsHeardEarly, op) {
                memory.muted.insert(*key);
            } else {
                memory.muted.remove(key);
            }
            if self.has(Kind::Unlists, op) {
                memory.unlisted.insert(*key);
            } else {
                memory.unlisted.remove(key);
            }
        }
    }

    /// Reports a change that has not been made yet.
    pub(super) async fn tell_early(&self, op: Op, keys: &[SessionKey]) {
        if self.has(Kind::IsHeardEarly, op) {
            for key in keys {
                // There may be no listener.
                let _ = self.shared.early.send(Event::Changed { key: *key, version: None });
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Records the state before a change.
    pub(super) async fn remember(&self, key: &SessionKey) -> Option<Record> {
        let found = self.inner.read(key).await.ok().flatten();
        if let Some(record) = &found {
            self.shared.memory().last.insert(*key, (record.clone(), Instant::now()));
        }
        found
    }

    /// Keeps an ended session in the index of its owner.
    pub(super) fn stay_listed(&self, op: Op, key: &SessionKey, record: Option<&Record>) {
        if self.has(Kind::StaysListed, op)
            && let Some(owner) = record.and_then(|record| record.owner.as_ref()).map(Owner::as_str)
        {
            self.shared.memory().ghosts.insert((owner.to_owned(), *key));
        }
    }
}
