use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    mem,
};

use session_core::SessionKey;

use crate::{
    runtime::Runtime,
    waiting::{Item, Waiting},
};

/// The operations that wait, by age, and the keys that must not be changed now.
///
/// Every step costs at most the logarithm of the length of the queue, however many changes of however few keys wait.
pub(crate) struct Queue<I: Item> {
    last_ticket: u64,
    /// May leave, oldest first. Of the changes of a key, one at most is here or under way.
    ready: BTreeMap<u64, Waiting<I>>,
    /// Every key of which a change is ready or under way, with the changes of it that come after that, oldest first.
    held: HashMap<SessionKey, BTreeMap<u64, Waiting<I>>>,
}

impl<I: Item> Queue<I> {
    pub(crate) fn new() -> Self {
        Self { last_ticket: 0, ready: BTreeMap::new(), held: HashMap::new() }
    }

    /// The highest ticket that there is.
    pub(crate) fn last_ticket(&self) -> u64 {
        self.last_ticket
    }

    /// A number that is higher than all before.
    pub(crate) fn ticket(&mut self) -> u64 {
        self.last_ticket += 1;
        self.last_ticket
    }

    /// Holds the key for an operation that is under way from now on without having waited. `false` if the key is held already.
    pub(crate) fn hold(&mut self, key: &SessionKey) -> bool {
        if !I::CHANGES {
            return true;
        }
        match self.held.entry(*key) {
            Entry::Occupied(_) => false,
            Entry::Vacant(free) => {
                free.insert(BTreeMap::new());
                true
            }
        }
    }

    /// The operation that held the key is gone or back: the next one is ready.
    pub(crate) fn release(&mut self, key: &SessionKey) {
        if !I::CHANGES {
            return;
        }
        let Entry::Occupied(mut held) = self.held.entry(*key) else { return };
        match held.get_mut().pop_first() {
            Some((ticket, next)) => {
                self.ready.insert(ticket, next);
            }
            None => {
                held.remove();
            }
        }
    }

    /// Adds an operation, and returns the ticket by which it can be removed. It is handed back if as many as `per_key` wait for its key.
    pub(crate) fn push(&mut self, waiting: Waiting<I>, per_key: usize) -> Result<u64, Waiting<I>> {
        let ticket = self.ticket();
        let key = *waiting.item.key();
        if self.hold(&key) {
            self.ready.insert(ticket, waiting);
            return Ok(ticket);
        }
        let later = self.held.entry(key).or_default();
        if later.len() >= per_key {
            return Err(waiting);
        }
        later.insert(ticket, waiting);
        Ok(ticket)
    }

    /// Takes out those changes of a held key, up to a ticket, whose outcome is known without sending them.
    pub(crate) fn settle(
        &mut self,
        key: &SessionKey,
        ticket: u64,
        outcome: impl Fn(&I) -> Option<I::Outcome>,
    ) -> Vec<(Waiting<I>, I::Outcome)> {
        let Some(later) = self.held.get_mut(key) else { return Vec::new() };
        let mut outcomes = Vec::new();
        let settled = later.extract_if(..=ticket, |_, waiting| {
            let known = outcome(&waiting.item);
            let is_known = known.is_some();
            outcomes.extend(known);
            is_known
        });
        let settled: Vec<_> = settled.map(|(_, waiting)| waiting).collect();
        settled.into_iter().zip(outcomes).collect()
    }

    /// Takes an operation out, wherever it stands.
    pub(crate) fn remove(&mut self, ticket: u64, key: &SessionKey) -> Option<Waiting<I>> {
        if let Some(waiting) = self.ready.remove(&ticket) {
            self.release(key);
            return Some(waiting);
        }
        self.held.get_mut(key)?.remove(&ticket)
    }

    /// Takes out the oldest that may leave, if it has no more than `most_bytes`, with those that follow on it. Its key stays held.
    pub(crate) fn pop(&mut self, most_bytes: usize, largest: usize) -> Option<Waiting<I>> {
        let first = self.ready.first_entry()?;
        if first.get().item.bytes() > most_bytes {
            return None;
        }
        let mut first = first.remove();
        if I::CHANGES {
            self.join(&mut first, most_bytes, largest);
        }
        Some(first)
    }

    /// Joins the changes of the same key that come next and only say what becomes of it after this one.
    fn join(&mut self, first: &mut Waiting<I>, most_bytes: usize, largest: usize) {
        let Some(later) = self.held.get_mut(first.item.key()) else { return };
        // One that is late will not be sent.
        if later.is_empty() || Runtime::has_passed(first.deadline) {
            return;
        }
        while let Some(next) = later.first_entry()
            && let Some(joined) = first.item.joined(&next.get().item, largest)
            && joined.bytes() <= most_bytes
            // Its caller is told that it was not sent.
            && !Runtime::has_passed(next.get().deadline)
        {
            first.item = joined;
            first.deadline = first.deadline.max(next.get().deadline);
            first.followers.push(next.remove_entry());
        }
    }

    /// Puts back what was joined, and has to leave by itself. The key is held still.
    pub(crate) fn put_back(&mut self, key: &SessionKey, followers: Vec<(u64, Waiting<I>)>) {
        self.held.entry(*key).or_default().extend(followers);
    }

    /// Takes out all. Only the keys of what is under way stay held.
    pub(crate) fn clear(&mut self) -> Vec<Waiting<I>> {
        let mut all = Vec::new();
        for waiting in mem::take(&mut self.ready).into_values() {
            all.extend(self.held.remove(waiting.item.key()).into_iter().flat_map(BTreeMap::into_values));
            all.push(waiting);
        }
        all.extend(self.held.values_mut().flat_map(|later| mem::take(later).into_values()));
        all
    }

    /// Whether nothing may leave. What waits for another change of its key may not.
    pub(crate) fn none_ready(&self) -> bool {
        self.ready.is_empty()
    }
}
