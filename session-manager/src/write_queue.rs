use std::{
    collections::{HashMap, hash_map::Entry},
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use session_core::{SessionKey, Version};
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::{Result, commit_outcome::CommitOutcome, payload::meta::TRACE, snapshot::Snapshot};

/// Queues the tasks of a process that write one session: each write builds on the one before it,
/// without waiting for the reply.
///
/// If all writers of a contended session tried at the same time, each would need one round trip for
/// each competitor. If each waited for the replies, each would need one round trip for each writer
/// before it. So later tasks see a write that is in flight and build on it, on the condition that
/// it takes effect. A store that batches writes sends the waiting ones as one.
///
/// An uncontended write is sent immediately. Contended writes queue in FIFO order, which prevents
/// starvation.
///
/// Other processes are not starved either. A chain has at most [`TRACE`] writes, and the task that
/// begins the next chain reads the stored session first. Meanwhile, a process that has just had a
/// conflict with the last write of the chain gets ahead. A chain that breaks shows that there is
/// such a process. For a while after that, each task waits for its reply. Otherwise the process
/// that is ahead would stay ahead, because its next write is already in flight.
#[derive(Debug)]
pub(crate) struct WriteQueues(Box<[Shard]>);

/// Enough that two tasks rarely use the same shard.
const SHARDS: usize = 256;

/// The queues of some of the sessions.
#[derive(Debug, Default)]
struct Shard(parking_lot::Mutex<Queues>);

#[derive(Debug, Default)]
struct Queues {
    /// The queues that have tasks.
    by_key: HashMap<SessionKey, WriteQueue>,
    /// When a chain last broke.
    broken: Option<Instant>,
}

#[derive(Debug)]
struct WriteQueue {
    /// Held by the task that prepares a write and sends it.
    turn: Arc<Mutex<()>>,
    /// Has a permit for each write that may be in flight. If the replies are lost, the trace of the
    /// last write that took effect covers all of them.
    unanswered: Arc<Semaphore>,
    /// The number of tasks that are queued or wait for a reply.
    inside: usize,
    tail: Option<Tail>,
}

/// How long after a broken chain no task builds on a write that is in flight.
const CAUTION: Duration = Duration::from_secs(1);

impl Queues {
    /// Adds a task to the queue of this session.
    fn enter(&mut self, key: &SessionKey) -> &mut WriteQueue {
        let queue = self.by_key.entry(*key).or_insert_with(WriteQueue::new);
        queue.inside += 1;
        queue
    }

    fn is_cautious(&self) -> bool {
        self.broken.is_some_and(|broken| broken.elapsed() < CAUTION)
    }
}

/// The newest state of a session that this process knows, kept while other tasks may build on it.
#[derive(Clone, Debug)]
struct Tail {
    /// The session as a write has left it, or will leave it when it takes effect; or as a conflict
    /// has shown it.
    base: Arc<Snapshot>,
    /// The version of the first write of the chain. If a write fails, all writes that build on it
    /// fail.
    chain: Version,
    /// The number of writes in the chain.
    length: usize,
}

/// A task's turn to write a session. The turn passes on when a write that others may build on is in
/// flight, or when this is dropped.
pub(crate) struct WriteTurn<'a> {
    ground: Option<Tail>,
    looks_first: bool,
    /// Whether others may build on the write before its reply arrives.
    shows_it: bool,
    turn: OwnedMutexGuard<()>,
    unanswered: OwnedSemaphorePermit,
    inside: Inside<'a>,
}

/// The outcome of a write that was sent in turn.
pub(crate) struct Attempt<'a> {
    pub(crate) sent: Result<CommitOutcome>,
    /// The write never was in flight, as with a store in the memory of the process.
    pub(crate) at_once: bool,
    /// The turn, if it has not passed on.
    pub(crate) place: Option<WriteTurn<'a>>,
}

impl WriteQueues {
    pub(crate) fn new() -> Self {
        Self((0..SHARDS).map(|_| Shard::default()).collect())
    }

    /// Queues, and returns when it is this task's turn.
    pub(crate) async fn join(&self, key: &SessionKey) -> WriteTurn<'_> {
        let shard = self.shard(key);
        let (turn, semaphore) = {
            let mut queues = shard.0.lock();
            let queue = queues.enter(key);
            (Arc::clone(&queue.turn), Arc::clone(&queue.unanswered))
        };
        let inside = Inside { shard, key: *key };
        let turn = turn.lock_owned().await;
        let mut unanswered = permits(&semaphore, 1).await;
        let (tail, shows_it) = {
            let queues = shard.0.lock();
            (queues.by_key.get(key).and_then(|queue| queue.tail.clone()), !queues.is_cautious())
        };
        let ground = tail.filter(|_| shows_it);
        let looks_first = ground.as_ref().is_some_and(|tail| tail.length >= TRACE);
        if looks_first {
            drop(unanswered);
            unanswered = permits(&semaphore, TRACE).await;
            drop(unanswered.split(TRACE - 1));
        }
        let ground = ground.filter(|_| !looks_first);
        WriteTurn { ground, looks_first, shows_it, turn, unanswered, inside }
    }

    /// As [`join`](Self::join), if other tasks are queued or in flight. Otherwise returns `None`:
    /// there is no need to queue.
    pub(crate) async fn join_if_contended(&self, key: &SessionKey) -> Option<WriteTurn<'_>> {
        let contended = self.shard(key).0.lock().by_key.contains_key(key);
        if contended { Some(self.join(key).await) } else { None }
    }

    /// Sends the write of a task that found no queue, and shows it to later tasks while it is in
    /// flight.
    pub(crate) async fn send_alone(
        &self,
        key: &SessionKey,
        base: impl FnOnce() -> Box<Snapshot>,
        write: impl Future<Output = Result<CommitOutcome>>,
    ) -> Attempt<'_> {
        let mut write = pin!(write);
        if let Poll::Ready(sent) = begin(write.as_mut()).await {
            return Attempt { sent, at_once: true, place: None };
        }
        let base = Arc::<Snapshot>::from(base());
        let (shard, chain) = (self.shard(key), base.version);
        {
            let mut queues = shard.0.lock();
            let shows_it = !queues.is_cautious();
            let queue = queues.enter(key);
            if shows_it && queue.tail.is_none() {
                queue.tail = Some(Tail { base, chain, length: 1 });
            }
        }
        let inside = Inside { shard, key: *key };
        let mut link = ChainLink { inside: &inside, chain, now: None, holds: false, stands: false };
        let sent = write.await;
        link.answered(&sent);
        Attempt { sent, at_once: false, place: None }
    }

    fn shard(&self, key: &SessionKey) -> &Shard {
        let [lowest, ..] = key.hash64().to_le_bytes();
        &self.0[usize::from(lowest)]
    }
}

impl WriteQueue {
    fn new() -> Self {
        Self { turn: Arc::default(), unanswered: Arc::new(Semaphore::new(TRACE)), inside: 0, tail: None }
    }
}

async fn permits(semaphore: &Arc<Semaphore>, some: usize) -> OwnedSemaphorePermit {
    let some = u32::try_from(some).expect("there are few");
    Arc::clone(semaphore).acquire_many_owned(some).await.expect("nobody closes it")
}

impl<'a> WriteTurn<'a> {
    /// The session once all earlier writes have taken effect, unless one of them fails.
    pub(crate) fn ground(&self) -> Option<Arc<Snapshot>> {
        self.ground.as_ref().map(|tail| Arc::clone(&tail.base))
    }

    /// Begins a new chain, for a write that builds on what its own handle has loaded.
    pub(crate) fn build_alone(&mut self) {
        self.ground = None;
    }

    /// Whether the store must be read before anything is sent.
    pub(crate) fn looks_first(&self) -> bool {
        self.looks_first
    }

    /// Sends a write that builds on the [ground](Self::ground), or, without one, on what the caller
    /// knows. If the write takes effect, it leaves `base`.
    pub(crate) async fn send(
        self,
        base: impl FnOnce() -> Box<Snapshot>,
        write: impl Future<Output = Result<CommitOutcome>>,
    ) -> Attempt<'a> {
        if !self.shows_it {
            return Attempt { sent: write.await, at_once: false, place: Some(self) };
        }
        let Self { ground, turn, unanswered: _unanswered, inside, .. } = self;
        let base = Arc::<Snapshot>::from(base());
        let stands = ground.is_some();
        let (chain, length) = ground.map_or((base.version, 0), |tail| (tail.chain, tail.length));
        let mut link = ChainLink { inside: &inside, chain, now: None, holds: false, stands };
        let mut write = pin!(write);
        let begun = begin(write.as_mut()).await;
        if let Poll::Pending | Poll::Ready(Ok(CommitOutcome::Written)) = begun {
            inside.leave_tail(Tail { base, chain, length: length + 1 });
        }
        let (sent, at_once) = match begun {
            Poll::Ready(sent) => (sent, true),
            Poll::Pending => {
                drop(turn);
                (write.await, false)
            }
        };
        link.answered(&sent);
        Attempt { sent, at_once, place: None }
    }
}

/// Polls a write once, so that it is in flight.
async fn begin<F: Future>(mut write: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(write.as_mut().poll(context))).await
}

/// A write of a chain. When it is dropped, no task builds on the chain any more if the write did
/// not take effect, or may not have.
struct ChainLink<'a> {
    inside: &'a Inside<'a>,
    chain: Version,
    /// What is stored instead, if known.
    now: Option<Tail>,
    holds: bool,
    /// The write builds on another write of this process.
    stands: bool,
}

impl ChainLink<'_> {
    fn answered(&mut self, sent: &Result<CommitOutcome>) {
        match sent {
            Ok(CommitOutcome::Written) => self.holds = true,
            Ok(CommitOutcome::Conflict(now) | CommitOutcome::CommittedThenReplaced(now)) => {
                let base = Arc::new(Snapshot::clone(now));
                self.now = Some(Tail { chain: base.version, base, length: 0 });
            }
            Ok(CommitOutcome::Ended) | Err(_) => {}
        }
    }
}

impl Drop for ChainLink<'_> {
    fn drop(&mut self) {
        if self.holds {
            return;
        }
        let mut queues = self.inside.shard.0.lock();
        if self.stands && self.now.is_some() {
            queues.broken = Some(Instant::now());
        }
        if let Some(queue) = queues.by_key.get_mut(&self.inside.key)
            && queue.tail.as_ref().is_none_or(|tail| tail.chain == self.chain)
        {
            queue.tail = self.now.take();
        }
    }
}

/// A task that is queued or waits for a reply.
struct Inside<'a> {
    shard: &'a Shard,
    key: SessionKey,
}

impl Inside<'_> {
    fn leave_tail(&self, tail: Tail) {
        if let Some(queue) = self.shard.0.lock().by_key.get_mut(&self.key) {
            queue.tail = Some(tail);
        }
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let mut queues = self.shard.0.lock();
        if let Entry::Occupied(mut queue) = queues.by_key.entry(self.key) {
            queue.get_mut().inside -= 1;
            if queue.get().inside == 0 {
                queue.remove();
            }
        }
    }
}
