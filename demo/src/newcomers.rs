use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// How many sessions may begin in [`WINDOW`]. What a session holds is bounded as well, so that strangers can fill no disk.
const MOST: u32 = 1_000;

/// As long as a guest's session lives.
pub(crate) const WINDOW: Duration = Duration::from_mins(10);

/// Counts the sessions that begin.
#[derive(Clone)]
pub(crate) struct Newcomers(Arc<Mutex<(Instant, u32)>>);

impl Newcomers {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new((Instant::now(), 0))))
    }

    /// Whether one more session may begin now.
    pub(crate) fn admit(&self) -> bool {
        self.admit_at(Instant::now())
    }

    fn admit_at(&self, now: Instant) -> bool {
        let (begun, many) = &mut *self.0.lock();
        if now.saturating_duration_since(*begun) >= WINDOW {
            (*begun, *many) = (now, 0);
        }
        *many = many.saturating_add(1);
        *many <= MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_begin_in_a_window_and_again_in_the_next_one() {
        let (newcomers, now) = (Newcomers::new(), Instant::now());
        let admitted = |at| (0..2 * MOST).filter(|_| newcomers.admit_at(at)).count();
        assert_eq!(admitted(now), MOST as usize);
        assert_eq!(admitted(now + WINDOW / 2), 0);
        assert_eq!(admitted(now + 2 * WINDOW), MOST as usize);
    }
}
