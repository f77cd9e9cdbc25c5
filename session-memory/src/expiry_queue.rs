use std::{cmp::Reverse, collections::BinaryHeap};

use crate::clock::Moment;

/// When to look at which record again: the earliest first.
///
/// An entry is 16 bytes, the moment and the hash of the key, and it is a reminder, not the truth. Writes and touches that move
/// an expiry later leave it alone; when it comes due, the record is looked at and, if it lives on, entered
/// again. So a renewal costs nothing here, and a purge costs what came due, whatever else is stored.
#[derive(Default)]
pub(crate) struct ExpiryQueue {
    reminders: BinaryHeap<Reverse<(Moment, u64)>>,
}

impl ExpiryQueue {
    pub(crate) fn remind(&mut self, at: Moment, hash: u64) {
        self.reminders.push(Reverse((at, hash)));
    }

    /// Takes the first reminder that is due.
    pub(crate) fn pop_due(&mut self, now: Moment) -> Option<(Moment, u64)> {
        let Reverse((at, _)) = self.reminders.peek()?;
        if *at > now { None } else { self.pop() }
    }

    /// Takes the first reminder.
    pub(crate) fn pop(&mut self) -> Option<(Moment, u64)> {
        self.reminders.pop().map(|Reverse(reminder)| reminder)
    }

    /// Whether so many reminders are of records that were deleted or are reminded of sooner that it pays to sort them out: more
    /// than half, so that each is looked at about twice, counted over all changes.
    pub(crate) fn is_mostly_stale(&self, records: usize) -> bool {
        self.reminders.len() > 2 * records + 64
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.reminders.len()
    }

    pub(crate) fn retain(&mut self, mut wanted: impl FnMut(Moment, u64) -> bool) {
        self.reminders.retain(|Reverse((at, hash))| wanted(*at, *hash));
        self.reminders.shrink_to(2 * self.reminders.len());
    }
}
