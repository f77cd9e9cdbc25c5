use std::{
    collections::HashMap,
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use session_core::{SessionKey, SessionStore};

use crate::{Breakable, Capability, Fault, Namespace};

pub(crate) type Opened<T> = Result<T, Unavailable>;
type Open<T> = Arc<dyn Fn(Namespace) -> BoxFuture<'static, Opened<T>> + Send + Sync>;
type Second = Arc<
    dyn Fn(Namespace, Arc<dyn SessionStore>) -> BoxFuture<'static, Opened<Arc<dyn SessionStore>>>
        + Send
        + Sync,
>;
type CleanUp = Arc<dyn Fn(Namespace) -> BoxFuture<'static, ()> + Send + Sync>;
type Plant = Arc<dyn Fn(Namespace, SessionKey, Foreign) -> BoxFuture<'static, ()> + Send + Sync>;

/// A store to run the suite on: its name, how to open it, and the hooks that the cases may use.
///
/// ```
/// use session_conformance::{Capability, Target, Unavailable};
/// use session_core::SessionStore;
/// use std::sync::Arc;
/// # async fn connect(url: &str, table: &str) -> session_core::Result<Arc<dyn SessionStore>> { unimplemented!() }
///
/// let target = Target::new("mine", |namespace| async move {
///     let url = std::env::var("MINE_URL").map_err(|_| Unavailable::because("MINE_URL is not set"))?;
///     connect(&url, namespace.as_str()).await.map_err(Unavailable::because)
/// })
/// .without(Capability::Watch, "the engine has no notifications");
/// ```
#[derive(Clone)]
pub struct Target {
    pub(crate) name: String,
    pub(crate) required_as: String,
    pub(crate) open: Open<Arc<dyn SessionStore>>,
    pub(crate) second: Option<Second>,
    pub(crate) plant: Option<Plant>,
    pub(crate) breakable: Option<Open<Breakable>>,
    pub(crate) clean_up: Option<CleanUp>,
    pub(crate) self_purging: Option<Open<Arc<dyn SessionStore>>>,
    pub(crate) staleness: Duration,
    pub(crate) hears_all_nodes: bool,
    pub(crate) case_limit: Duration,
    pub(crate) foreign: Vec<Foreign>,
    faults: Vec<Fault>,
    without: Vec<(Capability, String)>,
}

/// The reason why a target cannot be opened here. Its cases are then *ignored*, with this reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable(pub(crate) String);

impl Unavailable {
    /// A reason that says what is missing, and how to get it.
    pub fn because(reason: impl fmt::Display) -> Self {
        Self(reason.to_string())
    }
}

/// The kinds of foreign bytes that a case plants under a key of the store, for promise 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Foreign {
    /// A value of another type than the store's own, if the engine has types. Otherwise bytes that
    /// do not resemble a record of the store.
    WrongType,
    /// A record of the store, cut off in the middle.
    Truncated,
    /// A record that claims a format that this release does not know.
    NewerFormat,
}

impl Foreign {
    /// All kinds.
    pub const ALL: &'static [Self] = &[Self::WrongType, Self::Truncated, Self::NewerFormat];
}

impl Target {
    /// A target with the name `name` in the list of cases, opened by `open`.
    ///
    /// `open` is called at least once per case, each time with another namespace, and returns an
    /// empty store. Calls overlap, in any number of runtimes and processes. Launch servers once per
    /// process, and do not share connections between calls.
    pub fn new<O, F>(name: impl Into<String>, open: O) -> Self
    where
        O: Fn(Namespace) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Arc<dyn SessionStore>, Unavailable>> + Send + 'static,
    {
        let name = name.into();
        Self {
            required_as: name.clone(),
            name,
            open: Arc::new(move |namespace| Box::pin(open(namespace))),
            second: None,
            plant: None,
            breakable: None,
            clean_up: None,
            self_purging: None,
            staleness: Duration::ZERO,
            hears_all_nodes: true,
            case_limit: Duration::from_mins(2),
            foreign: Vec::new(),
            faults: Vec::new(),
            without: Vec::new(),
        }
    }

    /// A store inside this process. Each call of `open` creates a namespace, and a clone of the
    /// `Arc` is another handle.
    pub fn in_process<S: SessionStore + 'static>(
        name: impl Into<String>,
        open: impl Fn() -> S + Send + Sync + 'static,
    ) -> Self {
        Self::new(name, move |_| {
            let store: Arc<dyn SessionStore> = Arc::new(open());
            async move { Ok(store) }
        })
        .second_handle(|_, first| async move { Ok(first) })
    }

    /// A target whose handles are clones of one store inside this process. `new` creates the store
    /// of each namespace, and `layer` wraps each handle.
    pub fn clones<S, L, F>(
        name: impl Into<String>,
        new: impl Fn() -> S + Send + Sync + 'static,
        layer: L,
    ) -> Self
    where
        S: Clone + Send + 'static,
        L: Fn(S) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Arc<dyn SessionStore>, Unavailable>> + Send + 'static,
    {
        // The stores of the cases that are running.
        let stores: Arc<Mutex<HashMap<Namespace, S>>> = Arc::default();
        let made = Arc::clone(&stores);
        let handle = Arc::new(move |namespace| {
            let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
            layer(made.entry(namespace).or_insert_with(&new).clone())
        });
        let second = Arc::clone(&handle);
        Self::new(name, move |namespace| handle(namespace))
            .second_handle(move |namespace, _first| second(namespace))
            .clean_up(move |namespace| {
                stores.lock().unwrap_or_else(PoisonError::into_inner).remove(&namespace);
                async {}
            })
    }

    /// The word in `SESSION_REQUIRE` that turns "unavailable" into a failure. Default: the name.
    #[must_use]
    pub fn required_as(mut self, word: impl Into<String>) -> Self {
        self.required_as = word.into();
        self
    }

    /// Sets how to open another handle on the records of a namespace, given the first handle. If
    /// possible, it is on its own node (another connection pool, another cache).
    #[must_use]
    pub fn second_handle<O, F>(mut self, open: O) -> Self
    where
        O: Fn(Namespace, Arc<dyn SessionStore>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Arc<dyn SessionStore>, Unavailable>> + Send + 'static,
    {
        self.second = Some(Arc::new(move |namespace, first| Box::pin(open(namespace, first))));
        self
    }

    /// Sets how to put foreign bytes of these kinds under a key, bypassing the store.
    #[must_use]
    pub fn foreign_bytes<P, F>(mut self, kinds: &[Foreign], plant: P) -> Self
    where
        P: Fn(Namespace, SessionKey, Foreign) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.foreign = kinds.to_vec();
        self.plant = Some(Arc::new(move |namespace, key, foreign| Box::pin(plant(namespace, key, foreign))));
        self
    }

    /// Sets how to open a store whose server can be broken in these ways without affecting other
    /// cases.
    #[must_use]
    pub fn faults<O, F>(mut self, faults: &[Fault], open: O) -> Self
    where
        O: Fn(Namespace) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Breakable, Unavailable>> + Send + 'static,
    {
        self.faults = faults.to_vec();
        self.breakable = Some(Arc::new(move |namespace| Box::pin(open(namespace))));
        self
    }

    /// Sets how to open a store, empty as from [`new`](Self::new), that frees expired records by
    /// itself, every second or more often.
    #[must_use]
    pub fn self_purging<O, F>(mut self, open: O) -> Self
    where
        O: Fn(Namespace) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Arc<dyn SessionStore>, Unavailable>> + Send + 'static,
    {
        self.self_purging = Some(Arc::new(move |namespace| Box::pin(open(namespace))));
        self
    }

    /// Sets how to remove everything that a case has left in its namespace. For servers that
    /// outlive the tests.
    #[must_use]
    pub fn clean_up<C, F>(mut self, clean_up: C) -> Self
    where
        C: Fn(Namespace) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.clean_up = Some(Arc::new(move |namespace| Box::pin(clean_up(namespace))));
        self
    }

    /// The time after which a case is considered to hang. Default: two minutes. `SESSION_SOAK`
    /// multiplies it.
    #[must_use]
    pub fn case_limit(mut self, limit: Duration) -> Self {
        self.case_limit = limit;
        self
    }

    /// The maximum staleness of a *read through another handle*. Default: zero. Set it for a store
    /// that is a cache or reads from a replica.
    #[must_use]
    pub fn staleness(mut self, bound: Duration) -> Self {
        self.staleness = bound;
        self
    }

    /// Declares that the watch reports only the changes of this process:
    /// [`Watch::hears_all_nodes`](session_core::Watch::hears_all_nodes) is false.
    #[must_use]
    pub fn hears_one_process(mut self) -> Self {
        self.hears_all_nodes = false;
        self
    }

    /// Returns the same target under another name, with a layer over each store that it opens: a
    /// cache, metrics, encryption.
    #[must_use]
    pub fn layered<L, F>(mut self, name: impl Into<String>, layer: L) -> Self
    where
        L: Fn(Arc<dyn SessionStore>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Arc<dyn SessionStore>, Unavailable>> + Send + 'static,
    {
        self.name = name.into();
        let layer = Arc::new(layer);
        let below = |open: Open<Arc<dyn SessionStore>>| -> Open<Arc<dyn SessionStore>> {
            let layer = Arc::clone(&layer);
            Arc::new(move |namespace| {
                let (opening, over) = (open(namespace), Arc::clone(&layer));
                Box::pin(async move { over(opening.await?).await })
            })
        };
        self.self_purging = self.self_purging.map(&below);
        self.open = below(self.open);
        let over = Arc::clone(&layer);
        self.second = self.second.map(|second| -> Second {
            Arc::new(move |namespace, first| {
                let (opening, over) = (second(namespace, first), Arc::clone(&over));
                Box::pin(async move { over(opening.await?).await })
            })
        });
        self.breakable = self.breakable.map(|breakable| -> Open<Breakable> {
            Arc::new(move |namespace| {
                let (opening, over) = (breakable(namespace), Arc::clone(&layer));
                Box::pin(async move {
                    let mut broken = opening.await?;
                    broken.store = over(broken.store).await?;
                    broken.beside = match broken.beside {
                        Some(beside) => Some(over(beside).await?),
                        None => None,
                    };
                    Ok(broken)
                })
            })
        });
        self
    }

    /// Declares that the store lacks an ability, and why. Cases that need it are printed as not
    /// proven.
    #[must_use]
    pub fn without(mut self, ability: Capability, reason: impl Into<String>) -> Self {
        self.without.push((ability, reason.into()));
        self
    }

    /// The name given to [`new`](Self::new).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The reason why this target cannot run cases that need `ability`, or `None` if it can.
    pub(crate) fn lacks(&self, ability: Capability) -> Option<String> {
        if let Some((_, reason)) = self.without.iter().find(|(without, _)| *without == ability) {
            return Some(format!("{}: {reason}", ability.missing()));
        }
        let has = match ability {
            Capability::SecondHandle => self.second.is_some(),
            Capability::ForeignBytes => !self.foreign.is_empty(),
            Capability::SelfPurge => self.self_purging.is_some(),
            Capability::Freeze | Capability::Kill | Capability::LoseReplies | Capability::Cut => {
                self.faults.iter().any(|fault| fault.ability() == ability)
            }
            Capability::Owners | Capability::Maintenance | Capability::Purge | Capability::Watch => true,
        };
        (!has).then(|| ability.missing().to_owned())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("name", &self.name)
            .field("staleness", &self.staleness)
            .field("faults", &self.faults)
            .field("without", &self.without)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use session_core::async_trait;
    use session_memory::MemoryStore;

    use super::*;
    use crate::FaultControl;

    struct Unbreakable;

    #[async_trait]
    impl FaultControl for Unbreakable {
        async fn inject(&self, _: Fault) {}
        async fn heal(&self, _: Fault) {}
    }

    #[tokio::test]
    async fn a_layer_lies_over_the_store_that_breaks_and_over_the_one_beside() {
        let layers = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&layers);
        let target = Target::in_process("bare", MemoryStore::new).faults(&[], |_| async {
            let store: Arc<dyn SessionStore> = Arc::new(MemoryStore::new());
            let (beside, control) = (Some(Arc::clone(&store)), Arc::new(Unbreakable));
            Ok(Breakable { store, beside, control, deadline: Duration::ZERO, recovery: Duration::ZERO })
        });
        let layered = target.layered("layered", move |store| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move { Ok(store) }
        });
        let broken =
            (layered.breakable.expect("it was declared"))(Namespace::random()).await.expect("it opens");
        assert!(broken.beside.is_some());
        assert_eq!(layers.load(Ordering::Relaxed), 2);
    }
}
