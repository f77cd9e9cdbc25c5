use std::time::Duration;

use session_core::SessionKey;
use tokio::sync::{Mutex, MutexGuard};

const FIRST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(50);

/// So many attempts come one right after another.
const STREAK: u32 = 8;

/// Waits before the attempt with this number, the first retry being 1: before each eighth one for a random part of a span that doubles ("full jitter",
/// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>), and before the others not at all.
///
/// What is tried after a pause is out of date if anybody wrote meanwhile. When it fails, it has the current record, and the attempt right after it
/// has its chance against those who write all the time. Of each process only one task is at it, see [`Turns`], so that these are few.
pub(crate) async fn pause(attempt: u32) {
    if attempt.is_multiple_of(STREAK) {
        let span = FIRST.saturating_mul(1 << (attempt / STREAK - 1).min(16)).min(LONGEST);
        tokio::time::sleep(span.mul_f64(rand::random())).await;
    }
}

/// Lets those tasks of a process that have met a conflict on a session try again one after another, so that a session which many
/// change at once costs each of them a few round trips and not one per rival. Who comes while they do queues up behind them, so that nobody is starved by
/// those who come again and again.
#[derive(Debug)]
pub(crate) struct Turns(Box<[Mutex<()>]>);

/// Nobody else who has taken a turn on the same session has it until this is dropped.
pub(crate) type Turn<'a> = MutexGuard<'a, ()>;

/// Sessions that share a turn wait for each other for nothing, which is rare with so many.
const TURNS: usize = 256;

impl Turns {
    pub(crate) fn new() -> Self {
        Self((0..TURNS).map(|_| Mutex::new(())).collect())
    }

    pub(crate) async fn take(&self, key: &SessionKey) -> Turn<'_> {
        self.of(key).lock().await
    }

    /// Takes a turn only if somebody else has it.
    pub(crate) async fn take_if_contended(&self, key: &SessionKey) -> Option<Turn<'_>> {
        let turn = self.of(key);
        if turn.try_lock().is_ok() { None } else { Some(turn.lock().await) }
    }

    fn of(&self, key: &SessionKey) -> &Mutex<()> {
        let [lowest, ..] = key.hash64().to_le_bytes();
        &self.0[usize::from(lowest)]
    }
}
