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

use crate::{Result, base::Base, commit::Sent, payload::meta::TRACE};

/// Lets those tasks of a process that write one session do so one after another, each on top of the one before it, without waiting for the answers.
///
/// A session that many change at once would cost each of them a trip for each rival if all tried at the same time, and a trip for each who came before
/// if each waited for the answers. So a write that is on its way is shown to those who come after, who build on it, on the condition that it takes
/// effect. A store that gathers writes sends those that wait as one.
///
/// Who finds nobody in line sends at once. Who comes while others stand there stands behind them, so that nobody is starved by those who come again and
/// again.
///
/// Neither is another process. A chain is no longer than [`TRACE`], and who begins the next one asks the store first what is there; meanwhile a process
/// that has just met a conflict with the last write of the chain gets ahead. A chain that breaks shows that there is such a process, and for a while, each
/// waits for its answer: or the process that is ahead, with its next write on its way already, would stay ahead.
#[derive(Debug)]
pub(crate) struct Lines(Box<[Shard]>);

/// So many that two tasks rarely look for their lines at the same place.
const SHARDS: usize = 256;

/// The lines of some of the sessions.
#[derive(Debug, Default)]
struct Shard(parking_lot::Mutex<Standing>);

#[derive(Debug, Default)]
struct Standing {
    /// Those at which somebody stands.
    lines: HashMap<SessionKey, Line>,
    /// When a chain was last broken.
    broken: Option<Instant>,
}

#[derive(Debug)]
struct Line {
    /// Whose turn it is to prepare a write and send it off.
    turn: Arc<Mutex<()>>,
    /// Has a permit for each write that may be without an answer. If the replies are lost, the trace of the last one that took effect tells of all.
    unanswered: Arc<Semaphore>,
    /// How many tasks stand in line or wait for an answer.
    inside: usize,
    tail: Option<Tail>,
}

/// For so long after a chain has broken, nobody builds on what is on its way.
const CAUTION: Duration = Duration::from_secs(1);

impl Standing {
    /// One more stands at the line of this session.
    fn enter(&mut self, key: &SessionKey) -> &mut Line {
        let line = self.lines.entry(*key).or_insert_with(Line::new);
        line.inside += 1;
        line
    }

    fn is_cautious(&self) -> bool {
        self.broken.is_some_and(|broken| broken.elapsed() < CAUTION)
    }
}

/// What the process knows best of a session, as long as anybody may want to build on it.
#[derive(Clone, Debug)]
struct Tail {
    /// What a write has left, or will leave when it takes effect; or what was met in a conflict.
    base: Arc<Base>,
    /// The first of those writes that stand on each other. If one of them fails, all fail that stand on it.
    chain: Version,
    /// How many writes the chain has.
    length: usize,
}

/// The turn of a task to write a session. It passes on when a write that others may build on is on its way, or when this is dropped.
pub(crate) struct Place<'a> {
    ground: Option<Tail>,
    looks_first: bool,
    /// Whether others may build on the write before it is answered.
    shows_it: bool,
    turn: OwnedMutexGuard<()>,
    unanswered: OwnedSemaphorePermit,
    inside: Inside<'a>,
}

/// What became of a write that was sent in turn.
pub(crate) struct InTurn<'a> {
    pub(crate) sent: Result<Sent>,
    /// The write never was on its way, as with a store in the memory of the process.
    pub(crate) at_once: bool,
    /// The turn, if it has not passed on.
    pub(crate) place: Option<Place<'a>>,
}

impl Lines {
    pub(crate) fn new() -> Self {
        Self((0..SHARDS).map(|_| Shard::default()).collect())
    }

    /// Stands in line, and returns when it is this task's turn.
    pub(crate) async fn join(&self, key: &SessionKey) -> Place<'_> {
        let shard = self.shard(key);
        let (turn, semaphore) = {
            let mut standing = shard.0.lock();
            let line = standing.enter(key);
            (Arc::clone(&line.turn), Arc::clone(&line.unanswered))
        };
        let inside = Inside { shard, key: *key };
        let turn = turn.lock_owned().await;
        let mut unanswered = permits(&semaphore, 1).await;
        let (tail, shows_it) = {
            let standing = shard.0.lock();
            (standing.lines.get(key).and_then(|line| line.tail.clone()), !standing.is_cautious())
        };
        let ground = tail.filter(|_| shows_it);
        let looks_first = ground.as_ref().is_some_and(|tail| tail.length >= TRACE);
        if looks_first {
            drop(unanswered);
            unanswered = permits(&semaphore, TRACE).await;
            drop(unanswered.split(TRACE - 1));
        }
        let ground = ground.filter(|_| !looks_first);
        Place { ground, looks_first, shows_it, turn, unanswered, inside }
    }

    /// As [`join`](Self::join), if anybody else stands there; else there is no need to.
    pub(crate) async fn join_if_contended(&self, key: &SessionKey) -> Option<Place<'_>> {
        let contended = self.shard(key).0.lock().lines.contains_key(key);
        if contended { Some(self.join(key).await) } else { None }
    }

    /// Sends the write of one who has found nobody in line, and shows it to those who come while it is on its way.
    pub(crate) async fn send_alone(
        &self,
        key: &SessionKey,
        base: impl FnOnce() -> Box<Base>,
        write: impl Future<Output = Result<Sent>>,
    ) -> InTurn<'_> {
        let mut write = pin!(write);
        if let Poll::Ready(sent) = begin(write.as_mut()).await {
            return InTurn { sent, at_once: true, place: None };
        }
        let base = Arc::<Base>::from(base());
        let (shard, chain) = (self.shard(key), base.version);
        {
            let mut standing = shard.0.lock();
            let shows_it = !standing.is_cautious();
            let line = standing.enter(key);
            if shows_it && line.tail.is_none() {
                line.tail = Some(Tail { base, chain, length: 1 });
            }
        }
        let inside = Inside { shard, key: *key };
        let mut link = Link { inside: &inside, chain, now: None, holds: false, stands: false };
        let sent = write.await;
        link.answered(&sent);
        InTurn { sent, at_once: false, place: None }
    }

    fn shard(&self, key: &SessionKey) -> &Shard {
        let [lowest, ..] = key.hash64().to_le_bytes();
        &self.0[usize::from(lowest)]
    }
}

impl Line {
    fn new() -> Self {
        Self { turn: Arc::default(), unanswered: Arc::new(Semaphore::new(TRACE)), inside: 0, tail: None }
    }
}

async fn permits(semaphore: &Arc<Semaphore>, some: usize) -> OwnedSemaphorePermit {
    let some = u32::try_from(some).expect("there are few");
    Arc::clone(semaphore).acquire_many_owned(some).await.expect("nobody closes it")
}

impl<'a> Place<'a> {
    /// What is there once all writes that were sent before have taken effect, unless one of them fails.
    pub(crate) fn ground(&self) -> Option<Arc<Base>> {
        self.ground.as_ref().map(|tail| Arc::clone(&tail.base))
    }

    /// Begins a chain of its own, for a write that stands on what its own handle has seen.
    pub(crate) fn stand_alone(&mut self) {
        self.ground = None;
    }

    /// Whether the store is to be asked what is there before anything is sent.
    pub(crate) fn looks_first(&self) -> bool {
        self.looks_first
    }

    /// Sends a write that stands on the [ground](Self::ground), or on what the caller knows if there is none, and that leaves `base` if it takes effect.
    pub(crate) async fn send(
        self,
        base: impl FnOnce() -> Box<Base>,
        write: impl Future<Output = Result<Sent>>,
    ) -> InTurn<'a> {
        if !self.shows_it {
            return InTurn { sent: write.await, at_once: false, place: Some(self) };
        }
        let Self { ground, turn, unanswered: _unanswered, inside, .. } = self;
        let base = Arc::<Base>::from(base());
        let stands = ground.is_some();
        let (chain, length) = ground.map_or((base.version, 0), |tail| (tail.chain, tail.length));
        let mut link = Link { inside: &inside, chain, now: None, holds: false, stands };
        let mut write = pin!(write);
        let begun = begin(write.as_mut()).await;
        if let Poll::Pending | Poll::Ready(Ok(Sent::Written)) = begun {
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
        InTurn { sent, at_once, place: None }
    }
}

/// Polls a write once, so that it is on its way.
async fn begin<F: Future>(mut write: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(write.as_mut().poll(context))).await
}

/// A write of a chain. Takes care that nobody builds on the chain if it did not take effect, or may not have.
struct Link<'a> {
    inside: &'a Inside<'a>,
    chain: Version,
    /// What is there instead, if that is known.
    now: Option<Tail>,
    holds: bool,
    /// It stood on another write of this process.
    stands: bool,
}

impl Link<'_> {
    fn answered(&mut self, sent: &Result<Sent>) {
        match sent {
            Ok(Sent::Written) => self.holds = true,
            Ok(Sent::Conflict(now) | Sent::Superseded(now)) => {
                let base = Arc::new(Base::clone(now));
                self.now = Some(Tail { chain: base.version, base, length: 0 });
            }
            Ok(Sent::Gone) | Err(_) => {}
        }
    }
}

impl Drop for Link<'_> {
    fn drop(&mut self) {
        if self.holds {
            return;
        }
        let mut standing = self.inside.shard.0.lock();
        if self.stands && self.now.is_some() {
            standing.broken = Some(Instant::now());
        }
        if let Some(line) = standing.lines.get_mut(&self.inside.key)
            && line.tail.as_ref().is_none_or(|tail| tail.chain == self.chain)
        {
            line.tail = self.now.take();
        }
    }
}

/// One who stands in line or waits for an answer.
struct Inside<'a> {
    shard: &'a Shard,
    key: SessionKey,
}

impl Inside<'_> {
    fn leave_tail(&self, tail: Tail) {
        if let Some(line) = self.shard.0.lock().lines.get_mut(&self.key) {
            line.tail = Some(tail);
        }
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let mut standing = self.shard.0.lock();
        if let Entry::Occupied(mut line) = standing.lines.entry(self.key) {
            line.get_mut().inside -= 1;
            if line.get().inside == 0 {
                line.remove();
            }
        }
    }
}
