use std::{
    env,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::Duration,
};

use session_core::{Maintenance, OwnerIndex, SessionId, SessionKey, SessionStore, Watch};
use tokio::time;

use crate::{
    Breakable, Capability, Foreign, Namespace, Target, extensions,
    failure::{Checked, Failure},
    model::{
        run::{Depth, Run},
        step::Act,
        table::{Row, effective, idle},
    },
    pace::Pace,
    rounds::{Rounds, Shortfall},
    target::Opened,
};

/// The environment of a case: a fresh store, and helpers that the cases share.
pub(crate) struct Context {
    target: Target,
    namespace: Namespace,
    shortfall: Shortfall,
    /// Additional namespaces that the case has opened.
    opened: Arc<Mutex<Vec<Namespace>>>,
    pub(crate) depth: Depth,
    pub(crate) store: Arc<dyn SessionStore>,
}

/// The error of "the ttl has passed" where clocks tick in milliseconds: the write and the read may
/// each round once.
pub(crate) const TICK: Duration = Duration::from_millis(2);

/// The factor by which `scripts/soak` multiplies rounds and limits: the number in `SESSION_SOAK`,
/// else 1.
pub(crate) fn soak_factor() -> u32 {
    static FACTOR: LazyLock<u32> =
        LazyLock::new(|| env::var("SESSION_SOAK").ok().and_then(|n| n.parse().ok()).unwrap_or(1).max(1));
    *FACTOR
}

#[allow(clippy::unused_self, reason = "a case asks its context for everything that is its own")]
impl Context {
    pub(crate) fn new(
        target: Target,
        namespace: Namespace,
        store: Arc<dyn SessionStore>,
        pace: Pace,
        shortfall: Shortfall,
        opened: Arc<Mutex<Vec<Namespace>>>,
    ) -> Self {
        Self { target, namespace, shortfall, opened, depth: pace.depth(), store }
    }

    /// Records that the store is too slow here for what the case requires, and what was done
    /// instead.
    pub(crate) fn fall_short(&self, done: String) {
        self.shortfall.note(done);
    }

    /// A key under which nothing was ever stored.
    pub(crate) fn key(&self) -> SessionKey {
        SessionId::generate().key()
    }

    /// A key, and another one of the same shard, as rotation draws it.
    pub(crate) fn pair(&self) -> (SessionKey, SessionKey) {
        let id = SessionId::generate();
        (id.key(), id.rotate().key())
    }

    /// The rounds of a repetition, of which a fast store does `usual`.
    pub(crate) fn rounds(&self, usual: u32) -> Rounds {
        Rounds::new(usual, soak_factor(), self.shortfall.clone())
    }

    /// Splits the items into parts of `len`. A store that is fast enough gets all of them, a slower
    /// one at least a quarter.
    pub(crate) fn parts<T>(&self, mut items: Vec<T>, len: usize) -> impl Iterator<Item = Vec<T>> {
        let parts = u32::try_from(items.len().div_ceil(len)).unwrap_or(u32::MAX);
        let rounds = Rounds::new(parts, 1, self.shortfall.clone()).at_least_a_quarter();
        rounds.map(move |_| items.split_off(items.len().saturating_sub(len)))
    }

    /// The time limit of this case.
    pub(crate) fn limit(&self) -> Duration {
        self.target.case_limit * soak_factor()
    }

    /// An empty store in a new namespace.
    pub(crate) async fn another_namespace(&self) -> Checked<Arc<dyn SessionStore>> {
        self.namespace_called(Namespace::random()).await
    }

    /// An empty store in a new namespace that frees expired records by itself.
    pub(crate) async fn self_purging(&self) -> Checked<Arc<dyn SessionStore>> {
        match &self.target.self_purging {
            Some(open) => opened(open(self.noted(Namespace::random())).await),
            None => Err(Failure::new("the target has no self_purging hook")),
        }
    }

    /// An empty store in this namespace.
    pub(crate) async fn namespace_called(&self, name: Namespace) -> Checked<Arc<dyn SessionStore>> {
        opened((self.target.open)(self.noted(name)).await)
    }

    /// Records a namespace that is opened, so that it is cleaned up at the end.
    fn noted(&self, name: Namespace) -> Namespace {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
        name
    }

    /// A second handle on the records of this case.
    pub(crate) async fn second(&self) -> Checked<Arc<dyn SessionStore>> {
        match &self.target.second {
            Some(open) => opened(open(self.namespace.clone(), Arc::clone(&self.store)).await),
            None => Err(Failure::new("the target has no second_handle hook")),
        }
    }

    /// Both handles on the records of this case, or the only one.
    pub(crate) async fn handles(&self) -> Checked<Vec<Arc<dyn SessionStore>>> {
        let mut handles = vec![self.store.clone()];
        if self.target.second.is_some() {
            handles.push(self.second().await?);
        }
        Ok(handles)
    }

    /// The handles for racing changes: both, unless reads may be stale, which a race cannot wait
    /// for.
    pub(crate) async fn racers(&self) -> Checked<Vec<Arc<dyn SessionStore>>> {
        if self.target.staleness.is_zero() { self.handles().await } else { Ok(vec![self.store.clone()]) }
    }

    /// The last of the handles for racing changes.
    pub(crate) async fn rival(&self) -> Checked<Arc<dyn SessionStore>> {
        Ok(self.racers().await?.pop().unwrap_or_else(|| self.store.clone()))
    }

    /// The changes that take effect, of those that the target supports.
    pub(crate) fn effective(&self) -> Vec<Row> {
        self.possible(effective())
    }

    /// The changes that take no effect, of those that the target supports.
    pub(crate) fn idle(&self) -> Vec<Row> {
        self.possible(idle())
    }

    fn possible(&self, mut rows: Vec<Row>) -> Vec<Row> {
        if !self.has(Capability::Owners) {
            rows.retain(|row| !row.change.iter().any(|step| matches!(step.act, Act::DeleteOwner { .. })));
        }
        rows
    }

    /// Returns true if the target declares to have this ability.
    pub(crate) fn has(&self, ability: Capability) -> bool {
        self.target.lacks(ability).is_none()
    }

    /// A run of the model on these handles. It checks everything in every way if a call is cheap.
    pub(crate) fn run_on(&self, handles: Vec<Arc<dyn SessionStore>>) -> Run {
        Run::new(handles, self.target.staleness, self.depth)
    }

    /// Like [`run_on`](Self::run_on), for any number of runs.
    pub(crate) fn runs_on(
        &self,
        handles: Vec<Arc<dyn SessionStore>>,
    ) -> impl Fn() -> Run + Send + 'static + use<> {
        let (staleness, depth) = (self.target.staleness, self.depth);
        move || Run::new(handles.clone(), staleness, depth)
    }

    /// Returns true if the watch reports the changes of all nodes.
    pub(crate) fn hears_all_nodes(&self) -> bool {
        self.target.hears_all_nodes
    }

    pub(crate) fn staleness(&self) -> Duration {
        self.target.staleness
    }

    /// Waits until reads through other handles must be fresh.
    pub(crate) async fn settle(&self) {
        if !self.target.staleness.is_zero() {
            time::sleep(self.target.staleness).await;
        }
    }

    /// The kinds of foreign bytes that this target can plant.
    pub(crate) fn foreign(&self) -> Vec<Foreign> {
        self.target.foreign.clone()
    }

    /// Puts foreign bytes under `key`.
    pub(crate) async fn plant(&self, key: SessionKey, foreign: Foreign) -> Checked {
        match &self.target.plant {
            Some(plant) => {
                plant(self.namespace.clone(), key, foreign).await;
                Ok(())
            }
            None => Err(Failure::new("the target has no foreign_bytes hook")),
        }
    }

    /// A store whose server this case may break.
    pub(crate) async fn breakable(&self) -> Checked<Breakable> {
        match &self.target.breakable {
            Some(open) => {
                // A machine that has just launched a server may be too busy for the store to
                // connect within its deadline.
                let mut opening = open(Namespace::random()).await;
                for _ in 0..2 {
                    if opening.is_err() {
                        opening = open(Namespace::random()).await;
                    }
                }
                opened(opening)
            }
            None => Err(Failure::new("the target has no faults hook")),
        }
    }

    pub(crate) fn owners(&self) -> Checked<&dyn OwnerIndex> {
        extensions::owners(&*self.store)
    }

    pub(crate) fn maintenance(&self) -> Checked<&dyn Maintenance> {
        extensions::maintenance(&*self.store)
    }

    pub(crate) fn watch(&self) -> Checked<&dyn Watch> {
        extensions::watch(&*self.store)
    }
}

fn opened<T>(result: Opened<T>) -> Checked<T> {
    result.map_err(|unavailable| {
        Failure::new(format!("it could be opened once, but not again: {}", unavailable.0))
    })
}
