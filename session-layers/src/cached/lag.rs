use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use session_core::SessionKey;

use super::clock::Moment;
use super::stats::Lag;

/// Measures the delay between changes through this cache and their events.
///
/// Changes by other nodes have the same delay. One change at a time is timed, from its reply to its
/// event. It is also a canary: if its event does not arrive, the watch is frozen, and the events of
/// other nodes do not arrive either.
#[derive(Debug, Default)]
pub(crate) struct LagMeter {
    timing: AtomicBool,
    change: Mutex<Option<(SessionKey, Moment)>>,
    /// The number of changes that took up to 1, 2, 4, 8, … microseconds.
    buckets: [AtomicU64; BUCKETS],
    longest: AtomicU64,
}

/// The last bucket holds everything beyond 17 minutes.
const BUCKETS: usize = 31;

impl LagMeter {
    /// Starts to time a change that has returned and whose event has not arrived yet.
    pub(crate) fn begin(&self, key: &SessionKey, now: Moment) {
        if !self.timing.load(Ordering::Relaxed) {
            *self.change.lock() = Some((*key, now));
            self.timing.store(true, Ordering::Relaxed);
        }
    }

    /// Records that an event for this key has arrived.
    pub(crate) fn heard(&self, key: &SessionKey, now: impl FnOnce() -> Moment) {
        if self.timing.load(Ordering::Relaxed) {
            let since = self.change.lock().take_if(|(timed, _)| timed == key).map(|(_, since)| since);
            if let Some(since) = since {
                self.timing.store(false, Ordering::Relaxed);
                self.note(now().since(since));
            }
        }
    }

    /// Records a change whose event arrived before the change returned.
    pub(crate) fn heard_at_once(&self) {
        self.note(Duration::ZERO);
    }

    /// Whether the event for the timed change is later than `limit`.
    pub(crate) fn is_overdue(&self, now: impl FnOnce() -> Moment, limit: Duration) -> bool {
        self.timing.load(Ordering::Relaxed)
            && self.change.lock().is_some_and(|(_, since)| now().since(since) > limit)
    }

    /// Stops the timing: the event may have been missed.
    pub(crate) fn forget(&self) {
        *self.change.lock() = None;
        self.timing.store(false, Ordering::Relaxed);
    }

    fn note(&self, lag: Duration) {
        let micros = u64::try_from(lag.as_micros()).unwrap_or(u64::MAX);
        let bucket = (u64::BITS - micros.saturating_sub(1).leading_zeros()) as usize;
        self.buckets[bucket.min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
        self.longest.fetch_max(micros, Ordering::Relaxed);
    }

    pub(crate) fn summary(&self) -> Lag {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let samples: u64 = counts.iter().sum();
        let longest = Duration::from_micros(self.longest.load(Ordering::Relaxed));
        let at = |per_mille: u64| {
            let rank = (samples * per_mille).div_ceil(1_000).max(1);
            let mut below = 0;
            let bucket = counts.iter().position(|count| {
                below += count;
                below >= rank
            });
            bucket.map_or(Duration::ZERO, |bucket| Duration::from_micros(1 << bucket).min(longest))
        };
        Lag { samples, p50: at(500), p99: at(990), longest }
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_a_factor_of_two() {
        let meter = LagMeter::default();
        assert_eq!(meter.summary(), Lag::default());
        for micros in 1..=1_000 {
            meter.note(Duration::from_micros(micros));
        }
        let lag = meter.summary();
        assert_eq!((lag.samples, lag.longest), (1_000, Duration::from_millis(1)));
        assert_eq!((lag.p50, lag.p99), (Duration::from_micros(512), Duration::from_millis(1)));
        meter.note(Duration::from_hours(1));
        assert_eq!(meter.summary().longest, Duration::from_hours(1));
    }
}
