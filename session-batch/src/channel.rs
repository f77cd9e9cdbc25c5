use std::{sync::Arc, time::Duration};

use session_core::{Error, ErrorKind, Result, SessionStore};
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use crate::{
    attempt::attempt,
    caller::Caller,
    carrier::Carrier,
    gate::still_under_way,
    kind::Kind,
    lane::{Arrival, Lane},
    places::Places,
    runtime::{Mutex, Runtime},
    settings::BatchSettings,
    waiting::Waiting,
};

const NO_ANSWER: &str = "there was no answer within the deadline";

/// The way of one kind of operation to the store: its lane, and what moves it.
pub(crate) struct Channel<S, K: Kind> {
    pub(crate) store: Arc<S>,
    lane: Mutex<Lane<K>>,
    places: Places,
    deadline: Duration,
    runtime: Runtime,
    /// Is told when a closed lane has become idle.
    idle: Notify,
}

impl<S: SessionStore + 'static, K: Kind> Channel<S, K> {
    pub(crate) fn new(store: &Arc<S>, settings: &BatchSettings, runtime: &Runtime) -> Arc<Self> {
        Arc::new(Self {
            store: Arc::clone(store),
            lane: Mutex::new(Lane::new(*settings, store.max_data_len())),
            places: Places::new(settings),
            deadline: settings.deadline,
            runtime: runtime.clone(),
            idle: Notify::new(),
        })
    }

    /// Carries out one operation: at once if the way is free, else with all others that wait until it is.
    pub(crate) async fn submit(self: &Arc<Self>, item: K) -> K::Outcome {
        let deadline = Runtime::now() + self.deadline;
        let arrival = self.lane.lock().arrive(item.key(), deadline);
        match arrival {
            Arrival::Leave(ticket) => self.send_alone(item, ticket, deadline).await,
            Arrival::Wait => self.stand_in_line(item, deadline).await,
            Arrival::Closed => Err(Error::new(ErrorKind::Closed, K::OPERATION)),
        }
    }

    /// The caller itself carries its operation: no task, no queue.
    async fn send_alone(self: &Arc<Self>, item: K, ticket: u64, deadline: Instant) -> K::Outcome {
        let _under_way = UnderWay { channel: self, ticket };
        match Runtime::until(deadline, attempt(item.one(&*self.store))).await {
            Some(Ok(outcome)) => outcome,
            Some(Err(panicked)) => Err(K::lost(panicked)),
            None => Err(K::lost(NO_ANSWER)),
        }
    }

    async fn stand_in_line(self: &Arc<Self>, item: K, deadline: Instant) -> K::Outcome {
        let mut caller = Caller::new(self, *item.key());
        let Some(Ok(place)) = Runtime::until(deadline, self.places.take(item.bytes())).await else {
            return Err(K::unsent("the queue is full: the store is slower than what is asked of it"));
        };
        let (reply, mut answer) = oneshot::channel();
        if !caller.enqueue(Waiting { item, deadline, reply, followers: Vec::new(), _place: place }) {
            return Err(K::unsent("too many changes of this one session wait already"));
        }
        match Runtime::until(deadline, &mut answer).await {
            Some(answer) => {
                caller.answered();
                // Everybody is told. Should that ever fail, then it is not known what came of it.
                answer.unwrap_or_else(|_| Err(K::lost("the batch was dropped")))
            }
            None if caller.withdraw() => Err(K::expired()),
            // The answer may have come since.
            None => answer.try_recv().unwrap_or_else(|_| Err(K::lost(NO_ANSWER))),
        }
    }

    /// Changes the lane, then sends what may leave, as far as there is room, and tells [`drain`](Self::drain) if nothing is left.
    ///
    /// Both are one step under the lock. So there is never something that could leave and does not, and no wake-up to be lost.
    pub(crate) fn change<T>(self: &Arc<Self>, change: impl FnOnce(&mut Lane<K>) -> T) -> T {
        let (changed, mut batch, drained) = {
            let mut lane = self.lane.lock();
            (change(&mut lane), lane.next_batch(), lane.is_drained())
        };
        if drained {
            self.idle.notify_waiters();
        }
        while let Some(waiting) = batch {
            self.runtime.spawn(Carrier::new(Arc::clone(self), waiting).run());
            batch = self.lane.lock().next_batch();
        }
        changed
    }

    /// Refuses all operations from now on, but for those that wait already.
    pub(crate) fn close(&self) {
        self.lane.lock().close();
    }

    /// Waits until nothing waits and nothing is under way, after [`close`](Self::close).
    pub(crate) async fn drain(&self) -> Result<()> {
        let drained = async {
            loop {
                // Registered before the question is asked, so that no answer is missed.
                let idle = self.idle.notified();
                if self.lane.lock().is_drained() {
                    return;
                }
                idle.await;
            }
        };
        Runtime::until(Runtime::now() + self.deadline, drained).await.ok_or_else(still_under_way)
    }
}

/// What left alone and is not back. It comes back by being dropped, whatever came of it.
struct UnderWay<'a, S: SessionStore + 'static, K: Kind> {
    channel: &'a Arc<Channel<S, K>>,
    ticket: u64,
}

impl<S: SessionStore + 'static, K: Kind> Drop for UnderWay<'_, S, K> {
    fn drop(&mut self) {
        self.channel.change(|lane| lane.back_alone(self.ticket));
    }
}
