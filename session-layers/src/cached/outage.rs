use std::time::Duration;

use super::l1::L1;
use super::clock::Moment;

/// How long the log hears nothing more of an outage that it has been told of.
const SILENCE: Duration = Duration::from_mins(1);

/// Tells the log that the cache is bypassed, why, and when that is over. Without it, a cache over a
/// store whose watch is refused costs memory and saves no trip, and nothing shows it but the
/// latency.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    /// When the last warning was logged, however often the cache was whole since.
    warned: Option<Moment>,
    /// Whether a warning was logged since the cache was whole the last time.
    is_known: bool,
}

impl Outage {
    /// The cache is bypassed. Logged at the first time, and then at most once a minute.
    pub(crate) fn goes_on(&mut self, l1: &L1, reason: &str) {
        l1.set_outage(Some(reason));
        if self.is_due(l1.clock.now()) {
            tracing::warn!(
                reason,
                "the cache is bypassed, and every read goes to the store: its watch does not tell of changes"
            );
        }
    }

    /// The cache is used again.
    pub(crate) fn is_over(&mut self, l1: &L1) {
        l1.set_outage(None);
        if std::mem::take(&mut self.is_known) {
            tracing::info!("the cache is used again: the store's watch tells of changes");
        }
    }

    fn is_due(&mut self, now: Moment) -> bool {
        let is_due = self.warned.is_none_or(|warned| now.since(warned) >= SILENCE);
        if is_due {
            self.warned = Some(now);
            self.is_known = true;
        }
        is_due
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;
    use super::super::clock::Clock;

    #[test]
    fn one_warning_a_minute() {
        let (mut outage, start) = (Outage::default(), Clock::start().now());
        let due =
            [0, 1, 59, 60, 61, 119, 120].map(|second| outage.is_due(start.plus(Duration::from_secs(second))));
        assert_eq!(due, [true, false, false, true, false, false, true]);
    }
}
