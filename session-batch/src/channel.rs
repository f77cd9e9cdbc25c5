use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use parking_lot::Mutex;
use session_core::{Error, ErrorKind, Operation, Result, SessionKey, SessionStore};
use tokio::{
    runtime::Handle,
    sync::{Notify, Semaphore, oneshot},
    time::{Instant, timeout_at},
};

use crate::{
    kind::Kind,
    lane::{Bounds, Lane, Waiting},
};

/// The way of one kind of operation to the store: its lane, and the tasks that carry batches there.
#[derive(Debug)]
pub(crate) struct Channel<S, K: Kind> {
    store: Arc<S>,
    lane: Mutex<Lane<K>>,
    /// Places in the queue. Who finds none waits for one, so that memory does not grow.
    places: Semaphore,
    deadline: Duration,
    runtime: Handle,
    idle: Notify,
}

impl<S: SessionStore + 'static, K: Kind> Channel<S, K> {
    pub(crate) fn new(
        store: Arc<S>,
        bounds: Bounds,
        queue: usize,
        deadline: Duration,
        runtime: Handle,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            lane: Mutex::new(Lane::new(bounds)),
            places: Semaphore::new(queue),
            deadline,
            runtime,
            idle: Notify::new(),
        })
    }

    /// Carries out one operation: at once if the way is free, else with all others that wait until it is.
    pub(crate) async fn submit(self: &Arc<Self>, item: K) -> K::Outcome {
        if self.lane.lock().try_leave(item.key()) {
            let _under_way = UnderWay { channel: self, keys: vec![*item.key()] };
            return item.one(&*self.store).await;
        }
        let deadline = Instant::now() + self.deadline;
        let Ok(place) = timeout_at(deadline, self.places.acquire()).await else {
            return Err(K::unsent("the queue is full: the store is slower than what is asked of it"));
        };
        let Ok(_place) = place else { return Err(closed::<K>()) };
        let (reply, mut answer) = oneshot::channel();
        let ticket = self.lane.lock().enqueue(item, reply);
        // What was under way when the way was found busy may have come back before this was in the queue.
        self.dispatch();
        match timeout_at(deadline, &mut answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(K::lost("the batch was dropped")),
            Err(_) if self.lane.lock().withdraw(ticket) => {
                Err(K::unsent("it waited for its turn until the deadline"))
            }
            Err(_) => Err(K::lost("there was no answer within the deadline")),
        }
    }

    /// Sends what waits, as far as there are free places.
    fn dispatch(self: &Arc<Self>) {
        loop {
            let Some(batch) = self.lane.lock().next_batch() else { return };
            let channel = Arc::clone(self);
            self.runtime.spawn(async move { channel.carry(batch).await });
        }
    }

    /// Carries a batch to the store and its outcomes back.
    async fn carry(self: Arc<Self>, batch: Vec<Waiting<K>>) {
        let (items, replies): (Vec<K>, Vec<_>) =
            batch.into_iter().map(|waiting| (waiting.item, waiting.reply)).unzip();
        let under_way = UnderWay { channel: &self, keys: items.iter().map(|item| *item.key()).collect() };
        let outcomes = guarded(&items, &*self.store).await;
        // The way is free before the callers are told, so that what they do next finds it free.
        drop(under_way);
        for (reply, outcome) in replies.into_iter().zip(outcomes) {
            // A caller that has given up does not want to know.
            let _ = reply.send(outcome);
        }
    }

    /// Refuses all further operations that would have to wait, and waits until none is left.
    pub(crate) async fn drain(&self) -> Result<()> {
        self.places.close();
        let drained = async {
            loop {
                let idle = self.idle.notified();
                if self.lane.lock().is_idle() {
                    return;
                }
                idle.await;
            }
        };
        timeout_at(Instant::now() + self.deadline, drained).await.map_err(|_| {
            Error::unavailable(Operation::Close, false).because("operations are still under way")
        })
    }
}

fn closed<K: Kind>() -> Error {
    Error::new(ErrorKind::Closed, K::OPERATION)
}

/// A batch whose store panics, or miscounts, is a failed batch and not a lost one.
async fn guarded<S: SessionStore, K: Kind>(items: &[K], store: &S) -> Vec<K::Outcome> {
    let outcomes: std::result::Result<Vec<K::Outcome>, _> =
        AssertUnwindSafe(K::many(items, store)).catch_unwind().await;
    let reason = match outcomes {
        Ok(outcomes) if outcomes.len() == items.len() => return outcomes,
        Ok(outcomes) => format!("the store gave {} outcomes for {} items", outcomes.len(), items.len()),
        Err(_) => "the store panicked".to_owned(),
    };
    items.iter().map(|_| Err(K::lost(&reason))).collect()
}

/// What was sent and is not back. Coming back sends what waits, also if it comes back by being dropped.
struct UnderWay<'a, S: SessionStore + 'static, K: Kind> {
    channel: &'a Arc<Channel<S, K>>,
    keys: Vec<SessionKey>,
}

impl<S: SessionStore + 'static, K: Kind> Drop for UnderWay<'_, S, K> {
    fn drop(&mut self) {
        let idle = {
            let mut lane = self.channel.lane.lock();
            lane.came_back(&self.keys);
            lane.is_idle()
        };
        if idle {
            self.channel.idle.notify_waiters();
        } else {
            self.channel.dispatch();
        }
    }
}
