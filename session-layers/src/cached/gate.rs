use super::runtime::{AtomicU64, Ordering};

/// Whether the cache may be used, and the *epoch*: a number that no two stretches of trust have in common.
///
/// An entry holds good in the epoch in which its reading began and in no other, so that one step empties the cache, whatever its size and
/// whoever is about to put something in. Even numbers are epochs; odd ones mean that the cache is bypassed.
#[derive(Debug)]
pub(crate) struct Gate(AtomicU64);

/// Bypassed for ever. Odd.
const SHUT: u64 = u64::MAX;

impl Gate {
    pub(crate) fn new(open: bool) -> Self {
        Self(AtomicU64::new(u64::from(!open)))
    }

    /// The present epoch; `None` while the cache must be bypassed.
    pub(crate) fn epoch(&self) -> Option<u64> {
        let now = self.0.load(Ordering::SeqCst);
        now.is_multiple_of(2).then_some(now)
    }

    /// Begins an epoch.
    pub(crate) fn open(&self) {
        self.step(|now| (now | 1) + 1);
    }

    /// Ends the epoch. From here on, the cache is bypassed.
    pub(crate) fn close(&self) {
        self.step(|now| now | 1);
    }

    /// Begins another epoch, unless the cache is bypassed anyway.
    pub(crate) fn flush(&self) {
        self.step(|now| if now.is_multiple_of(2) { now + 2 } else { now });
    }

    /// Ends the epoch, and lets no other begin.
    pub(crate) fn shut(&self) {
        self.step(|_| SHUT);
    }

    fn step(&self, next: impl Fn(u64) -> u64) {
        // An error says that it was shut.
        let _ =
            self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| (now != SHUT).then(|| next(now)));
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn no_epoch_comes_twice() {
        let gate = Gate::new(false);
        assert_eq!(gate.epoch(), None);
        gate.flush();
        assert_eq!(gate.epoch(), None, "a flush does not open it");
        let mut seen = Vec::new();
        for step in [Gate::open, Gate::flush, Gate::open] {
            step(&gate);
            seen.push(gate.epoch().expect("it is open"));
        }
        gate.close();
        gate.close();
        assert_eq!(gate.epoch(), None);
        gate.open();
        seen.push(gate.epoch().expect("it is open"));
        assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
        gate.shut();
        gate.open();
        gate.flush();
        assert_eq!(gate.epoch(), None, "shut is for ever");
    }
}
