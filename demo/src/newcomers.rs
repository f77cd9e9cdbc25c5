use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// The maximum number of sessions that may begin in one [`WINDOW`]. The size of a session is
/// limited as well, so that strangers cannot fill a disk.
const MOST: u32 = 1_000;

/// The lifetime of a guest's session.
pub(crate) const WINDOW: Duration = Duration::from_mins(10);

/// Counts new sessions.
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
