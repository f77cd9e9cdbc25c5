//! A store at the end of a link that takes time and breaks.

mod forward;
mod listening;
mod road;

use std::{fmt, sync::Arc, time::Duration};

use session_core::{Error, ErrorKind, Operation, Result, SessionStore};
use tokio::time::timeout;

use crate::{Breakable, Fault, FaultControl, Target, Unavailable};
use road::{Road, lost};

/// By what the cases judge what lies over a link that they break, and how long an operation may take over one that works: a busy machine is no fault.
const DEADLINE: Duration = Duration::from_secs(2);
const HEALTHY_DEADLINE: Duration = Duration::from_secs(30);

/// A store at the other end of a link that takes time and can break, all in one process: for the tests of a *layer* over stores, as a cache or a
/// batcher, which meets neither waiting calls nor faults over a store that answers at once.
///
/// Each call is one request: sent in a task of its own, it arrives, and is carried out, whatever becomes of its caller. Requests and replies take
/// up to about two milliseconds and overtake each other; events keep their order, and come before the reply to their change or up to some
/// milliseconds later. A listener is not told what happens during a fault, and hears of the gap when the link works again.
///
/// ```
/// use session_conformance::{Link, Suite};
/// # use session_memory::MemoryStore;
/// # use std::sync::Arc;
///
/// # struct MyLayer;
/// # impl MyLayer { fn new(link: Link) -> Link { link } }
/// let target = Link::target("linked-and-layered", MemoryStore::new, |link| async move {
///     Ok(Arc::new(MyLayer::new(link)) as _)
/// });
/// # let _: fn(_) -> _ = |target| -> std::process::ExitCode {
/// Suite::new().target(target).main()
/// # };
/// # let _ = target;
/// ```
pub struct Link {
    store: Arc<dyn SessionStore>,
    road: Arc<Road>,
    deadline: Duration,
    has_watch: bool,
}

impl Link {
    /// Stores made by `new`, one for each namespace, at the end of links, each with what `layer` lays over its link: with a second handle, by another link,
    /// and with all [faults](Fault::ALL).
    pub fn target<S, L, F>(
        name: impl Into<String>,
        new: impl Fn() -> S + Send + Sync + 'static,
        layer: L,
    ) -> Target
    where
        S: SessionStore + 'static,
        L: Fn(Self) -> F + Send + Sync + 'static,
        F: Future<Output = std::result::Result<Arc<dyn SessionStore>, Unavailable>> + Send + 'static,
    {
        let (new, layer) = (Arc::new(new), Arc::new(layer));
        let (for_faults, over_faults) = (Arc::clone(&new), Arc::clone(&layer));
        let over = move |store| layer(Self::to(store, HEALTHY_DEADLINE));
        Target::clones(name, move || -> Arc<dyn SessionStore> { Arc::new(new()) }, over).faults(
            Fault::ALL,
            move |_| {
                let store: Arc<dyn SessionStore> = Arc::new(for_faults());
                let (link, beside) = (Self::to(Arc::clone(&store), DEADLINE), Self::to(store, DEADLINE));
                let control: Arc<dyn FaultControl> = Arc::clone(&link.road) as _;
                let (layering, beside) = (over_faults(link), over_faults(beside));
                async move {
                    let (store, beside) = (layering.await?, Some(beside.await?));
                    let recovery = Duration::from_millis(100);
                    Ok(Breakable { store, beside, control, deadline: DEADLINE, recovery })
                }
            },
        )
    }

    fn to(store: Arc<dyn SessionStore>, deadline: Duration) -> Self {
        Self { store, road: Arc::default(), deadline, has_watch: true }
    }

    /// The same link to a store that tells of no changes.
    #[must_use]
    pub fn without_watch(self) -> Self {
        Self { has_watch: false, ..self }
    }

    /// The deadline to give to a layer over this link: that by which the cases judge it. The link itself answers somewhat sooner.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// How long an operation waits for its answer.
    fn patience(&self) -> Duration {
        self.deadline * 2 / 3
    }

    /// Sends a request, and waits for its answer.
    async fn ask<T, F>(
        &self,
        operation: Operation,
        request: impl FnOnce(Arc<dyn SessionStore>) -> F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let (request, road) = (request(self.store.clone()), Arc::clone(&self.road));
        // From now on and not from the first turn of the task, so that a close waits for it.
        let under_way = Arc::clone(&road.under_way).try_read_owned();
        let travelling = tokio::spawn(async move {
            let _under_way = match under_way {
                Ok(under_way) => under_way,
                Err(_) => Arc::clone(&road.under_way).read_owned().await,
            };
            road.travel(operation, request).await
        });
        match timeout(self.patience(), travelling).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(panic)) => Err(Error::new(ErrorKind::Internal, operation).with_source(panic)),
            Err(_) => Err(lost(operation).because("no answer within the deadline")),
        }
    }

    /// The same for a batch, which has one answer, too.
    async fn ask_many<T, F>(
        &self,
        operation: Operation,
        items: usize,
        request: impl FnOnce(Arc<dyn SessionStore>) -> F,
    ) -> Vec<Result<T>>
    where
        T: Clone + Send + 'static,
        F: Future<Output = Vec<Result<T>>> + Send + 'static,
    {
        let answer = self.ask(operation, |store| {
            let request = request(store);
            async move { Ok(request.await) }
        });
        answer.await.unwrap_or_else(|error| vec![Err(error); items])
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("store", &self.store).finish_non_exhaustive()
    }
}
