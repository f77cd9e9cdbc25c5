use std::time::{Duration, Instant};

use session_core::Ttl;

/// Microseconds since the cache was created, by a monotonic clock. Half the size of an `Instant`,
/// because each entry has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) fn after(self, ttl: Ttl) -> Self {
        Self(self.0 + ttl.as_millis() * 1_000)
    }

    pub(crate) fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }

    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

#[derive(Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// The current time. Call it after acquiring a lock, so that the wait does not keep an expired
    /// entry.
    pub(crate) fn now(&self) -> Moment {
        let passed = self.0.elapsed();
        Moment(passed.as_secs() * 1_000_000 + u64::from(passed.subsec_micros()))
    }
}
