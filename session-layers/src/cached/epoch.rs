use super::runtime::{AtomicU64, Ordering};

/// Whether the cache may be used, and its *epoch*: a number that is unique to each period of use.
///
/// An entry is valid only in the epoch in which its read began. Therefore one step empties the
/// cache, whatever its size and whichever readers are about to insert an entry. Even numbers are
/// epochs. Odd numbers mean that the cache is bypassed.
#[derive(Debug)]
pub(crate) struct Epoch(AtomicU64);

/// Bypassed permanently. Odd.
const SHUT: u64 = u64::MAX;

impl Epoch {
    pub(crate) fn new(open: bool) -> Self {
        Self(AtomicU64::new(u64::from(!open)))
    }

    /// The current epoch; `None` while the cache must be bypassed.
    pub(crate) fn current(&self) -> Option<u64> {
        let now = self.0.load(Ordering::SeqCst);
        now.is_multiple_of(2).then_some(now)
    }

    /// Begins a new epoch.
    pub(crate) fn open(&self) {
        self.step(|now| (now | 1) + 1);
    }

    /// Ends the epoch. The cache is bypassed from then on.
    pub(crate) fn close(&self) {
        self.step(|now| now | 1);
    }

    /// Begins a new epoch, unless the cache is bypassed.
    pub(crate) fn flush(&self) {
        self.step(|now| if now.is_multiple_of(2) { now + 2 } else { now });
    }

    /// Ends the epoch permanently.
    pub(crate) fn shut(&self) {
        self.step(|_| SHUT);
    }

    fn step(&self, next: impl Fn(u64) -> u64) {
        // An error means that the epoch was shut.
        let _ =
            self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| (now != SHUT).then(|| next(now)));
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn no_epoch_comes_twice() {
        let epoch = Epoch::new(false);
        assert_eq!(epoch.current(), None);
        epoch.flush();
        assert_eq!(epoch.current(), None, "a flush does not open it");
        let mut seen = Vec::new();
        for step in [Epoch::open, Epoch::flush, Epoch::open] {
            step(&epoch);
            seen.push(epoch.current().expect("it is open"));
        }
        epoch.close();
        epoch.close();
        assert_eq!(epoch.current(), None);
        epoch.open();
        seen.push(epoch.current().expect("it is open"));
        assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
        epoch.shut();
        epoch.open();
        epoch.flush();
        assert_eq!(epoch.current(), None, "shut is for ever");
    }
}
