use std::time::Duration;

const FIRST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(50);

/// The number of attempts between two pauses.
const STREAK: u32 = 8;

/// Whether the attempt after the one with this number follows without a pause.
pub(crate) fn is_in_streak(attempt: u32) -> bool {
    !attempt.is_multiple_of(STREAK)
}

/// Pauses before each eighth attempt; the first retry has the number 1.
///
/// The pause is a random part of a span that doubles ("full jitter",
/// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
///
/// An attempt after a pause is out of date if another writer has written meanwhile. When it fails,
/// it returns the current record, and the attempt that follows at once has a chance against
/// continuous writers. Tasks of one process do not compete: see [`WriteQueues`](crate::write_queue::WriteQueues).
pub(crate) async fn pause(attempt: u32) {
    if !is_in_streak(attempt) {
        let span = FIRST.saturating_mul(1 << (attempt / STREAK - 1).min(16)).min(LONGEST);
        tokio::time::sleep(span.mul_f64(rand::random())).await;
    }
}
