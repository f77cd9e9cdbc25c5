//! Measures how fast a store answers here, which determines what the suite can require of it.

use std::time::{Duration, Instant};

use session_core::{SessionId, SessionStore};

use crate::model::run::Depth;

/// The maximum duration of a call in this process.
const IN_PROCESS: Duration = Duration::from_micros(30);

/// The maximum duration of a call on a local network.
const NEARBY: Duration = Duration::from_millis(2);

/// The shortest measured duration of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace(Duration);

impl Pace {
    pub(crate) async fn of(store: &dyn SessionStore) -> Self {
        let mut shortest = Duration::MAX;
        for _ in 0..5 {
            let begun = Instant::now();
            // If the store cannot be read, the case reports that.
            let _ = store.read(&SessionId::generate().key()).await;
            shortest = shortest.min(begun.elapsed());
        }
        Self(shortest)
    }

    pub(crate) fn depth(self) -> Depth {
        if self.0 < IN_PROCESS { Depth::Whole } else { Depth::Sample }
    }

    /// The factor on the time limit of a case, relative to a store on a local network.
    pub(crate) fn patience(self) -> u32 {
        let times = self.0.as_micros() / NEARBY.as_micros();
        u32::try_from(times).unwrap_or(u32::MAX).clamp(1, 30)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distant_store_is_given_time() {
        let patience = |millis| Pace(Duration::from_millis(millis)).patience();
        assert_eq!((patience(0), patience(3), patience(10), patience(40)), (1, 1, 5, 20));
        assert_eq!(patience(10_000), 30, "what hangs is found out");
        assert_eq!(Pace(Duration::from_micros(3)).depth(), Depth::Whole);
        assert_eq!(Pace(Duration::from_micros(80)).depth(), Depth::Sample);
    }
}
