use std::{
    collections::{HashSet, VecDeque},
    mem,
};

use session_core::SessionKey;
use tokio::sync::oneshot;

/// What one kind of operation needs to be batched.
pub(crate) trait Item: std::fmt::Debug + Send + Sync + 'static {
    /// What the caller gets.
    type Outcome: std::fmt::Debug + Send + 'static;

    /// Whether two operations on one key must not be under way at the same time.
    const CHANGES: bool;

    fn key(&self) -> &SessionKey;

    /// About how many bytes it puts into a batch.
    fn bytes(&self) -> usize;
}

/// An operation that waits for a batch, with the way back to its caller.
#[derive(Debug)]
pub(crate) struct Waiting<I: Item> {
    ticket: u64,
    pub(crate) item: I,
    pub(crate) reply: oneshot::Sender<I::Outcome>,
}

/// How much goes into a batch, and how many batches are under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) batch_items: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) in_flight: usize,
}

/// The queue of one kind of operation, and what of it is under way: the whole decision of who leaves when. Held under one lock, and without
/// any waiting of its own, so that it can be checked by model.
#[derive(Debug)]
pub(crate) struct Lane<I: Item> {
    bounds: Bounds,
    waiting: VecDeque<Waiting<I>>,
    next_ticket: u64,
    /// Batches and single operations that were sent and are not back.
    in_flight: usize,
    /// The keys that are being changed by them.
    busy: HashSet<SessionKey>,
}

impl<I: Item> Lane<I> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, waiting: VecDeque::new(), next_ticket: 0, in_flight: 0, busy: HashSet::new() }
    }

    /// Whether an operation may leave at once, alone: there is a free place, and nobody waits who would be overtaken. If so, it is under
    /// way from now on, until [`came_back`](Self::came_back).
    pub(crate) fn try_leave(&mut self, key: &SessionKey) -> bool {
        let free = self.waiting.is_empty() && self.in_flight < self.bounds.in_flight;
        if !free || (I::CHANGES && !self.busy.insert(*key)) {
            return false;
        }
        self.in_flight += 1;
        true
    }

    /// Puts an operation at the end of the queue. Returns the ticket by which it can be withdrawn.
    pub(crate) fn enqueue(&mut self, item: I, reply: oneshot::Sender<I::Outcome>) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiting.push_back(Waiting { ticket, item, reply });
        ticket
    }

    /// Takes an operation out of the queue again. `false` if it was sent.
    pub(crate) fn withdraw(&mut self, ticket: u64) -> bool {
        let place = self.waiting.iter().position(|waiting| waiting.ticket == ticket);
        place.and_then(|place| self.waiting.remove(place)).is_some()
    }

    /// Says that a batch with these keys is back, whatever came of it.
    pub(crate) fn came_back<'a>(&mut self, keys: impl IntoIterator<Item = &'a SessionKey>) {
        self.in_flight -= 1;
        if I::CHANGES {
            for key in keys {
                self.busy.remove(key);
            }
        }
    }

    /// The next batch, if there is a free place and something that may leave. It is under way from now on.
    ///
    /// In the order in which they came, but for changes of a key that is being changed: these stay, and so do all later ones of that key. Not
    /// many are passed over like this, so that a hot key does not make every batch search a long queue. Whose caller is gone is left out, and
    /// was never sent.
    pub(crate) fn next_batch(&mut self) -> Option<Vec<Waiting<I>>> {
        if self.in_flight >= self.bounds.in_flight {
            return None;
        }
        let (mut batch, mut stay) = (Vec::new(), VecDeque::new());
        let (mut bytes, mut held_back) = (0, HashSet::new());
        while let Some(next) = self.waiting.pop_front() {
            if next.reply.is_closed() {
                continue;
            }
            let key = *next.item.key();
            if I::CHANGES && (self.busy.contains(&key) || held_back.contains(&key)) {
                held_back.insert(key);
                stay.push_back(next);
                if stay.len() >= 4 * self.bounds.batch_items {
                    break;
                }
                continue;
            }
            let fits = batch.len() < self.bounds.batch_items
                && (batch.is_empty() || bytes + next.item.bytes() <= self.bounds.batch_bytes);
            if !fits {
                self.waiting.push_front(next);
                break;
            }
            bytes += next.item.bytes();
            if I::CHANGES {
                self.busy.insert(key);
            }
            batch.push(next);
        }
        // What stays goes back to the front, before those that were not looked at.
        stay.append(&mut self.waiting);
        self.waiting = mem::take(&mut stay);
        if batch.is_empty() {
            return None;
        }
        self.in_flight += 1;
        Some(batch)
    }

    /// Whether nothing waits and nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.in_flight == 0
    }
}
