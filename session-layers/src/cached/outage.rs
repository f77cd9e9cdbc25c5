use std::time::Duration;

use super::clock::Moment;
use super::table::Table;

/// The minimum time between two warnings about outages.
const SILENCE: Duration = Duration::from_mins(1);

/// Logs that the cache is bypassed, why, and when that is over. Without the log, a cache over a
/// store whose watch is refused costs memory and saves no round trip, and only the latency shows
/// it.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    /// When the last warning was logged, even if the cache was in use since.
    warned: Option<Moment>,
    /// Whether a warning was logged since the cache was last in use.
    is_known: bool,
}

impl Outage {
    /// Records that the cache is bypassed. Logs the first time, and then at most once a minute.
    pub(crate) fn goes_on(&mut self, table: &Table, reason: &str) {
        table.set_outage(Some(reason));
        if self.is_due(table.clock.now()) {
            tracing::warn!(
                reason,
                "the cache is bypassed, and every read goes to the store: its watch does not tell of changes"
            );
        }
    }

    /// Records that the cache is in use again.
    pub(crate) fn is_over(&mut self, table: &Table) {
        table.set_outage(None);
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
    use super::super::clock::Clock;
    use super::*;

    #[test]
    fn one_warning_a_minute() {
        let (mut outage, start) = (Outage::default(), Clock::start().now());
        let due =
            [0, 1, 59, 60, 61, 119, 120].map(|second| outage.is_due(start.plus(Duration::from_secs(second))));
        assert_eq!(due, [true, false, false, true, false, false, true]);
    }
}
