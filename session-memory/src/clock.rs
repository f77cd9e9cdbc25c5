use std::time::{Duration, Instant};

use session_core::Ttl;

/// Microseconds since the store was made, by a clock that never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) fn after(self, ttl: Ttl) -> Self {
        Self(self.0 + ttl.as_millis() * 1_000)
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

    /// The current time. Must be read after waiting for any lock, so that the wait does not keep an
    /// expired record alive.
    pub(crate) fn now(&self) -> Moment {
        let passed = self.0.elapsed();
        Moment(passed.as_secs() * 1_000_000 + u64::from(passed.subsec_micros()))
    }
}
