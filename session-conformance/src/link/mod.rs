//! A store behind a simulated network link that has latency and can break.

mod forward;
mod listening;
mod road;

use std::{fmt, sync::Arc, time::Duration};

use session_core::{Error, ErrorKind, Operation, Result, SessionStore};
use tokio::time::timeout;

use crate::{Breakable, Fault, FaultControl, Target, Unavailable};
use road::{Road, lost};

/// The deadlines by which cases judge a layer: over a link that they break, and over one that
/// works. The second is long because a busy machine is not a failure.
const DEADLINE: Duration = Duration::from_secs(2);
const HEALTHY_DEADLINE: Duration = Duration::from_secs(30);

/// A store behind a simulated network link with latency and faults, all in one process.
///
/// It is for tests of a *layer* over stores, such as a cache or a batcher. Over a store that
/// answers immediately, such a layer would meet neither waiting calls nor faults.
///
/// Each call is one request, sent in its own task. It arrives and is executed, whatever happens to
/// its caller. Requests and replies take up to about two milliseconds and overtake each other.
/// Events keep their order, and arrive before the reply to their change or up to some milliseconds
/// later. A listener receives no events during a fault, and is told of the gap when the link works
/// again.
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
    /// A target whose stores are behind links, with a second handle and all [faults](Fault::ALL).
    ///
    /// `new` creates one store per namespace, and `layer` wraps each link. The second handle uses
    /// another link.
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

    /// Returns the same link, to a store without a watch.
    #[must_use]
    pub fn without_watch(self) -> Self {
        Self { has_watch: false, ..self }
    }

    /// The deadline for a layer over this link, by which the cases judge the layer. The link itself
    /// answers somewhat sooner.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The timeout of an operation on the link.
    fn patience(&self) -> Duration {
        self.deadline * 2 / 3
    }

    /// Sends a request, and waits for its reply.
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
        // Taken now and not on the first poll of the task, so that a close waits for it.
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

    /// Like [`ask`](Self::ask), for a batch, which has one reply, too.
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
