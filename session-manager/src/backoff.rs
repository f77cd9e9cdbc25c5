use std::time::Duration;

const FIRST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(50);

/// So many attempts come one right after another.
const STREAK: u32 = 8;

/// Whether the attempt after the one with this number comes right after it.
pub(crate) fn is_in_streak(attempt: u32) -> bool {
    !attempt.is_multiple_of(STREAK)
}

/// Waits before the attempt with this number, the first retry being 1: before each eighth one for a random part of a span that doubles ("full jitter",
/// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>), and before the others not at all.
///
/// What is tried after a pause is out of date if anybody wrote meanwhile. When it fails, it has the current record, and the attempt right after it
/// has its chance against those who write all the time. Those of one process do not compete, see [`Lines`](crate::line::Lines).
pub(crate) async fn pause(attempt: u32) {
    if !is_in_streak(attempt) {
        let span = FIRST.saturating_mul(1 << (attempt / STREAK - 1).min(16)).min(LONGEST);
        tokio::time::sleep(span.mul_f64(rand::random())).await;
    }
}
