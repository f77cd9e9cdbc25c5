use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use parking_lot::Mutex;
use session_core::{Version, WriteOutcome};
use tokio::sync::{self, MutexGuard, Semaphore, SemaphorePermit};

/// Lets those callers who write one session write on top of each other without waiting for the answers, as `session-manager` does for its
/// applications, and within the same bounds: the store within sends those that wait as one.
pub(super) struct Lines(Box<[Line]>);

/// As many as `session-manager` has.
const LINES: usize = 256;

/// So many writes of one chain, as many as a payload of `session-manager` remembers; then one asks what is there.
const CHAIN: usize = 8;

struct Line {
    turn: sync::Mutex<()>,
    unanswered: Semaphore,
    latest: Mutex<Latest>,
}

#[derive(Default)]
struct Latest {
    /// How many callers stand in line or wait for an answer.
    inside: usize,
    tail: Option<Tail>,
}

/// The last write that is on its way, or was answered.
#[derive(Clone, Copy)]
struct Tail {
    session: usize,
    version: Version,
    /// The first of those that stand on each other.
    chain: Version,
    length: usize,
}

/// The turn of a caller.
pub(super) struct Place<'a> {
    line: &'a Line,
    session: usize,
    ground: Option<Tail>,
    /// Whether the chain before is at its end, and the store has to be asked what is there.
    pub(super) looks_first: bool,
    turn: MutexGuard<'a, ()>,
    unanswered: SemaphorePermit<'a>,
    inside: Inside<'a>,
}

impl Lines {
    /// Stands in line, and returns when it is this caller's turn.
    pub(super) async fn join(&self, session: usize) -> Place<'_> {
        let line = self.of(session);
        line.latest.lock().inside += 1;
        let inside = Inside(line);
        let turn = line.turn.lock().await;
        let mut unanswered = line.permits(1).await;
        let ground = line.latest.lock().tail.filter(|tail| tail.session == session);
        let looks_first = ground.is_some_and(|tail| tail.length >= CHAIN);
        if looks_first {
            drop(unanswered);
            unanswered = line.permits(CHAIN).await;
            drop(unanswered.split(CHAIN - 1));
        }
        let ground = ground.filter(|_| !looks_first);
        Place { line, session, ground, looks_first, turn, unanswered, inside }
    }

    /// As [`join`](Self::join), if anybody else stands there.
    pub(super) async fn join_if_contended(&self, session: usize) -> Option<Place<'_>> {
        if self.is_idle(session) { None } else { Some(self.join(session).await) }
    }

    /// Whether nobody stands in line, so that what a caller sees in the store is the latest.
    pub(super) fn is_idle(&self, session: usize) -> bool {
        self.of(session).latest.lock().inside == 0
    }

    fn of(&self, session: usize) -> &Line {
        &self.0[session % LINES]
    }
}

impl Default for Lines {
    fn default() -> Self {
        let line = || Line {
            turn: sync::Mutex::new(()),
            unanswered: Semaphore::new(CHAIN),
            latest: Mutex::default(),
        };
        Self((0..LINES).map(|_| line()).collect())
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lines")
    }
}

impl Line {
    async fn permits(&self, some: usize) -> SemaphorePermit<'_> {
        let some = u32::try_from(some).expect("there are few");
        self.unanswered.acquire_many(some).await.expect("nobody closes it")
    }
}

impl Place<'_> {
    /// The version to write on, if the callers before have left one.
    pub(super) fn ground(&self) -> Option<Version> {
        self.ground.map(|tail| tail.version)
    }

    /// Sends a write of this version, and passes the turn on as soon as it is on its way. Tells whether nobody has written on it yet, too.
    pub(super) async fn send<E>(
        self,
        version: Version,
        write: impl Future<Output = Result<WriteOutcome, E>>,
    ) -> (Result<WriteOutcome, E>, bool) {
        let Self { line, session, ground, turn, unanswered: _unanswered, inside: _inside, .. } = self;
        let (chain, length) = ground.map_or((version, 1), |tail| (tail.chain, tail.length + 1));
        let mut write = pin!(write);
        let begun = poll_fn(|context| Poll::Ready(write.as_mut().poll(context))).await;
        line.latest.lock().tail = Some(Tail { session, version, chain, length });
        let outcome = match begun {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => {
                drop(turn);
                write.await
            }
        };
        let mut latest = line.latest.lock();
        let is_last = latest.tail.is_some_and(|tail| tail.version == version);
        if let Ok(WriteOutcome::Conflict(Some(now))) = &outcome
            && latest.tail.is_none_or(|tail| tail.chain == chain)
        {
            latest.tail = Some(Tail { session, version: now.version, chain: now.version, length: 0 });
        }
        (outcome, is_last)
    }
}

/// One who stands in line or waits for an answer.
struct Inside<'a>(&'a Line);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let mut latest = self.0.latest.lock();
        latest.inside -= 1;
        if latest.inside == 0 {
            latest.tail = None;
        }
    }
}
