use std::{
    env,
    sync::{Arc, LazyLock},
    time::Duration,
};

use session_core::{Maintenance, OwnerIndex, SessionId, SessionKey, SessionStore, Watch};
use tokio::time;

use crate::{
    Breakable, Foreign, Namespace, Target,
    failure::{Checked, Failure},
    target::Opened,
};

/// What a case works with: a fresh store, and the vocabulary that the cases share.
pub(crate) struct Context {
    target: Target,
    namespace: Namespace,
    pub(crate) store: Arc<dyn SessionStore>,
}

/// How far "the ttl has passed" can be off where clocks tick in milliseconds: the writing and the reading may each round once.
pub(crate) const TICK: Duration = Duration::from_millis(2);

/// By how much `scripts/soak` multiplies rounds and limits: the number in `SESSION_SOAK`, else 1.
pub(crate) fn soak_factor() -> u32 {
    static FACTOR: LazyLock<u32> =
        LazyLock::new(|| env::var("SESSION_SOAK").ok().and_then(|n| n.parse().ok()).unwrap_or(1).max(1));
    *FACTOR
}

#[allow(clippy::unused_self, reason = "a case asks its context for everything that is its own")]
impl Context {
    pub(crate) fn new(target: Target, namespace: Namespace, store: Arc<dyn SessionStore>) -> Self {
        Self { target, namespace, store }
    }

    /// A key that nothing was ever stored under.
    pub(crate) fn key(&self) -> SessionKey {
        SessionId::generate().key()
    }

    /// Another key of the same shard, as rotation draws it.
    pub(crate) fn pair(&self) -> (SessionKey, SessionKey) {
        let id = SessionId::generate();
        (id.key(), id.rotate().key())
    }

    /// How often to repeat something that races.
    pub(crate) fn rounds(&self, usual: u32) -> u32 {
        usual * soak_factor()
    }

    /// How long this case may take.
    pub(crate) fn limit(&self) -> Duration {
        self.target.case_limit * soak_factor()
    }

    /// An empty store in a namespace of its own.
    pub(crate) async fn another_namespace(&self) -> Checked<Arc<dyn SessionStore>> {
        self.namespace_called(Namespace::random()).await
    }

    /// An empty store in this namespace.
    pub(crate) async fn namespace_called(&self, name: Namespace) -> Checked<Arc<dyn SessionStore>> {
        opened((self.target.open)(name).await)
    }

    /// A second handle on the records of this case.
    pub(crate) async fn second(&self) -> Checked<Arc<dyn SessionStore>> {
        match &self.target.second {
            Some(open) => opened(open(self.namespace.clone(), Arc::clone(&self.store)).await),
            None => Err(Failure::new("the target has no second_handle hook")),
        }
    }

    /// Waits until reads through other handles must be fresh.
    pub(crate) async fn settle(&self) {
        if !self.target.staleness.is_zero() {
            time::sleep(self.target.staleness).await;
        }
    }

    /// What this target can plant.
    pub(crate) fn foreign(&self) -> Vec<Foreign> {
        self.target.foreign.clone()
    }

    /// Puts something that is no record of ours under `key`.
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
            Some(open) => opened(open(Namespace::random()).await),
            None => Err(Failure::new("the target has no faults hook")),
        }
    }

    pub(crate) fn owners(&self) -> Checked<&dyn OwnerIndex> {
        self.store.owners().ok_or_else(|| Failure::new("owners() is None, which the target did not declare"))
    }

    pub(crate) fn maintenance(&self) -> Checked<&dyn Maintenance> {
        self.store
            .maintenance()
            .ok_or_else(|| Failure::new("maintenance() is None, which the target did not declare"))
    }

    pub(crate) fn watch(&self) -> Checked<&dyn Watch> {
        self.store.watch().ok_or_else(|| Failure::new("watch() is None, which the target did not declare"))
    }
}

fn opened<T>(result: Opened<T>) -> Checked<T> {
    result.map_err(|unavailable| {
        Failure::new(format!("it could be opened once, but not again: {}", unavailable.0))
    })
}
