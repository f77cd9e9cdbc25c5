use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use parking_lot::Mutex;
use session_core::{Version, WriteOutcome};
use tokio::sync::{self, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

/// Lets callers that write one session write on top of each other without waiting for the answers.
///
/// `session-manager` does this for its applications, within the same bounds. The batched store
/// sends the queued writes as one.
pub(super) struct Lines(Box<[Shard]>);

/// As many shards as `session-manager` has.
const SHARDS: usize = 256;

/// Maximum number of writes in a chain, equal to what a payload of `session-manager` remembers. The
/// next caller reads the store.
const CHAIN: usize = 16;

/// The queues of those sessions that have callers.
type Shard = Mutex<HashMap<usize, Line>>;

struct Line {
    turn: Arc<sync::Mutex<()>>,
    unanswered: Arc<Semaphore>,
    /// The number of callers that queue or wait for an answer.
    inside: usize,
    tail: Option<Tail>,
}

/// The last write that was sent.
#[derive(Clone, Copy)]
struct Tail {
    version: Version,
    /// The first write of the chain.
    chain: Version,
    length: usize,
}

/// The outcome of a write.
pub(super) struct Sent<E> {
    pub(super) outcome: Result<WriteOutcome, E>,
    /// No later write was sent on top of it.
    pub(super) is_last: bool,
    /// The write completed at its first poll, as with an in-memory store.
    pub(super) at_once: bool,
}

/// The turn of a caller.
pub(super) struct Place<'a> {
    ground: Option<Tail>,
    /// Whether the chain has reached its maximum, so that the caller must read the store.
    pub(super) looks_first: bool,
    turn: OwnedMutexGuard<()>,
    unanswered: OwnedSemaphorePermit,
    inside: Inside<'a>,
}

impl Lines {
    /// Queues, and returns when it is this caller's turn.
    pub(super) async fn join(&self, session: usize) -> Place<'_> {
        let shard = self.shard(session);
        let (turn, semaphore) = {
            let mut lines = shard.lock();
            let line = lines.entry(session).or_insert_with(Line::new);
            line.inside += 1;
            (Arc::clone(&line.turn), Arc::clone(&line.unanswered))
        };
        let inside = Inside { shard, session };
        let turn = turn.lock_owned().await;
        let mut unanswered = permits(&semaphore, 1).await;
        let ground = shard.lock().get(&session).and_then(|line| line.tail);
        let looks_first = ground.is_some_and(|tail| tail.length >= CHAIN);
        if looks_first {
            drop(unanswered);
            unanswered = permits(&semaphore, CHAIN).await;
            drop(unanswered.split(CHAIN - 1));
        }
        let ground = ground.filter(|_| !looks_first);
        Place { ground, looks_first, turn, unanswered, inside }
    }

    /// Like [`join`](Self::join), if another caller is there.
    pub(super) async fn join_if_contended(&self, session: usize) -> Option<Place<'_>> {
        if self.is_idle(session) { None } else { Some(self.join(session).await) }
    }

    /// Sends the write of a caller that found the queue empty, and shows it to callers that arrive
    /// while it is in flight.
    pub(super) async fn send_alone<E>(
        &self,
        session: usize,
        version: Version,
        write: impl Future<Output = Result<WriteOutcome, E>>,
    ) -> Sent<E> {
        let mut write = pin!(write);
        if let Poll::Ready(outcome) = begin(write.as_mut()).await {
            return Sent { outcome, is_last: true, at_once: true };
        }
        let shard = self.shard(session);
        {
            let mut lines = shard.lock();
            let line = lines.entry(session).or_insert_with(Line::new);
            line.inside += 1;
            line.tail.get_or_insert(Tail { version, chain: version, length: 1 });
        }
        let inside = Inside { shard, session };
        let outcome = write.await;
        let is_last = inside.answered(version, version, &outcome);
        Sent { outcome, is_last, at_once: false }
    }

    /// Whether the queue is empty, so that a caller sees the latest version in the store.
    pub(super) fn is_idle(&self, session: usize) -> bool {
        !self.shard(session).lock().contains_key(&session)
    }

    fn shard(&self, session: usize) -> &Shard {
        &self.0[session % SHARDS]
    }
}

impl Default for Lines {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Shard::default()).collect())
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lines")
    }
}

impl Line {
    fn new() -> Self {
        Self { turn: Arc::default(), unanswered: Arc::new(Semaphore::new(CHAIN)), inside: 0, tail: None }
    }
}

async fn permits(semaphore: &Arc<Semaphore>, some: usize) -> OwnedSemaphorePermit {
    let some = u32::try_from(some).expect("there are few");
    Arc::clone(semaphore).acquire_many_owned(some).await.expect("it is never closed")
}

impl Place<'_> {
    /// The version to write on top of, if earlier callers left one.
    pub(super) fn ground(&self) -> Option<Version> {
        self.ground.map(|tail| tail.version)
    }

    /// Sends a write of this version, and passes the turn on as soon as the write is in flight.
    pub(super) async fn send<E>(
        self,
        version: Version,
        write: impl Future<Output = Result<WriteOutcome, E>>,
    ) -> Sent<E> {
        let Self { ground, turn, unanswered: _unanswered, inside, .. } = self;
        let (chain, length) = ground.map_or((version, 1), |tail| (tail.chain, tail.length + 1));
        let mut write = pin!(write);
        let begun = begin(write.as_mut()).await;
        inside.at_line(|line| line.tail = Some(Tail { version, chain, length }));
        let (outcome, at_once) = match begun {
            Poll::Ready(outcome) => (outcome, true),
            Poll::Pending => {
                drop(turn);
                (write.await, false)
            }
        };
        let is_last = inside.answered(version, chain, &outcome);
        Sent { outcome, is_last, at_once }
    }
}

/// Polls a write once, so that it is in flight.
async fn begin<F: Future>(mut write: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(write.as_mut().poll(context))).await
}

/// A caller that queues or waits for an answer.
struct Inside<'a> {
    shard: &'a Shard,
    session: usize,
}

impl Inside<'_> {
    fn at_line<T>(&self, look: impl FnOnce(&mut Line) -> T) -> T {
        let mut lines = self.shard.lock();
        look(lines.get_mut(&self.session).expect("it is there as long as somebody stands there"))
    }

    /// Records the outcome of a write of this version and chain. Returns whether it is the last
    /// one.
    fn answered<E>(&self, version: Version, chain: Version, outcome: &Result<WriteOutcome, E>) -> bool {
        self.at_line(|line| {
            let is_last = line.tail.is_some_and(|tail| tail.version == version);
            if let Ok(WriteOutcome::Conflict(Some(now))) = outcome
                && line.tail.is_none_or(|tail| tail.chain == chain)
            {
                line.tail = Some(Tail { version: now.version, chain: now.version, length: 0 });
            }
            is_last
        })
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let mut lines = self.shard.lock();
        if let Entry::Occupied(mut line) = lines.entry(self.session) {
            line.get_mut().inside -= 1;
            if line.get().inside == 0 {
                line.remove();
            }
        }
    }
}
