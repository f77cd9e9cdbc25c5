use std::{cmp::Reverse, collections::BinaryHeap};

use crate::clock::Moment;

/// When each record must be checked for expiry: the earliest first.
///
/// An entry is 16 bytes: the time and the hash of the key. It is a reminder and may be outdated.
/// Writes and touches that postpone an expiry do not change it. When it is due, the record is
/// checked and, if it is still live, queued again. So a renewal costs nothing here, and the cost of
/// a purge depends only on how many reminders are due.
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

    /// Whether so many reminders are stale that it pays to drop them. A reminder is stale if its
    /// record was deleted or has an earlier reminder. The threshold is more than half, so that each
    /// reminder is examined about twice, amortised over all changes.
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
