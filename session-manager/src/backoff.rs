use std::time::Duration;

use session_core::SessionKey;
use tokio::sync::{Mutex, MutexGuard};

const FIRST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(50);

/// Waits before the attempt with this number, the first retry being 1: not at all before each odd one, and before each even one for a random part
/// of a span that doubles ("full jitter", <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
///
/// What is tried after a pause is out of date if anybody wrote meanwhile, and has the current record when it fails: the attempt after it comes at
/// once, with an even chance against whoever writes all the time.
pub(crate) async fn pause(attempt: u32) {
    if attempt > 1 && attempt.is_multiple_of(2) {
        let span = FIRST.saturating_mul(1 << (attempt / 2 - 1).min(16)).min(LONGEST);
        tokio::time::sleep(span.mul_f64(rand::random())).await;
    }
}

/// Lets those tasks of a process that have met a conflict on a session try again one after another, so that a session which many
/// change at once costs each of them a few round trips and not one per rival.
#[derive(Debug)]
pub(crate) struct Turns([Mutex<()>; 64]);

/// Nobody else who has taken a turn on the same session has it until this is dropped.
pub(crate) type Turn<'a> = MutexGuard<'a, ()>;

impl Turns {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(())))
    }

    pub(crate) async fn take(&self, key: &SessionKey) -> Turn<'_> {
        let [lowest, ..] = key.hash64().to_le_bytes();
        self.0[usize::from(lowest) % self.0.len()].lock().await
    }
}
