//! The number of repetitions: the usual number, or as many as fit into the time of a case.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The time after which fewer rounds than usual are enough.
const USUAL_TIME: Duration = Duration::from_millis(1_500);

/// The multiple of that time after which the rounds end although they were not enough.
const LONGEST: u32 = 25;

/// The fraction of the usual rounds that is enough on a slow store: one in this many.
const ENOUGH: u32 = 10;

/// The numbers of the rounds, from 0. Clones are for tasks that do their rounds at the same time.
///
/// A store that is fast enough gets the usual number. A slower one gets as many as fit into the
/// [time](USUAL_TIME) of a case, and at least a [part](ENOUGH) of the usual. If not even that fits
/// into [several times](LONGEST) that time, the case is *not proven*, which is no failure of the
/// store.
#[derive(Clone, Debug)]
pub(crate) struct Rounds {
    usual: u32,
    enough: u32,
    done: u32,
    began: Instant,
    time: Duration,
    shortfall: Shortfall,
}

/// What fell short in a case, as text, if anything did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shortfall(Arc<Mutex<Option<String>>>);

impl Shortfall {
    pub(crate) fn reason(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn note(&self, reason: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
    }
}

impl Rounds {
    pub(crate) fn new(usual: u32, soak: u32, shortfall: Shortfall) -> Self {
        let usual = usual * soak;
        Self {
            usual,
            enough: usual.div_ceil(ENOUGH).max(2).min(usual),
            done: 0,
            began: Instant::now(),
            time: USUAL_TIME * soak,
            shortfall,
        }
    }

    /// Allows the rounds three times as long, because each of them shows something else.
    pub(crate) fn for_longer(mut self) -> Self {
        self.time *= 3;
        self
    }

    /// Requires at least a quarter of the usual rounds.
    pub(crate) fn at_least_a_quarter(mut self) -> Self {
        self.enough = self.usual.div_ceil(4);
        self
    }
}

impl Iterator for Rounds {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let spent = self.began.elapsed();
        if self.done >= self.usual || (spent > self.time && self.done >= self.enough) {
            return None;
        }
        if spent > self.time * LONGEST {
            let (done, usual) = (self.done, self.usual);
            self.shortfall.note(format!("{done} of {usual} rounds in {spent:.1?}"));
            return None;
        }
        self.done += 1;
        Some(self.done - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_store_does_all_rounds_and_falls_short_of_nothing() {
        let shortfall = Shortfall::default();
        assert_eq!(Rounds::new(400, 1, shortfall.clone()).collect::<Vec<_>>(), (0..400).collect::<Vec<_>>());
        assert_eq!(shortfall.reason(), None);
    }

    #[test]
    fn a_slow_store_does_enough_and_a_very_slow_one_is_not_judged() {
        let shortfall = Shortfall::default();
        let mut slow = Rounds::new(400, 1, shortfall.clone());
        slow.began -= USUAL_TIME * 2;
        assert_eq!(slow.count(), 40, "a tenth");
        assert_eq!(shortfall.reason(), None);
        let mut very_slow = Rounds::new(400, 1, shortfall.clone());
        let _ = very_slow.next();
        very_slow.began -= USUAL_TIME * (LONGEST + 1);
        assert_eq!(very_slow.next(), None);
        assert!(shortfall.reason().is_some_and(|reason| reason.starts_with("1 of 400 rounds")));
    }
}
