use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    mem,
};

use session_core::{Result, SessionKey};

use super::{batch_op::BatchOp, message::Message, runtime::Runtime};

/// The queued messages by age, and the keys that are locked for a change.
///
/// Every step takes at most logarithmic time in the length of the queue, for any number of keys.
pub(crate) struct Queue<O: BatchOp> {
    last_ticket: u64,
    /// The messages that may be sent, oldest first. At most one change of a key is here or in flight.
    ready: BTreeMap<u64, Message<O>>,
    /// Each key that has a change ready or in flight, with the changes that wait for it, oldest first.
    locked: HashMap<SessionKey, BTreeMap<u64, Message<O>>>,
}

impl<O: BatchOp> Queue<O> {
    pub(crate) fn new() -> Self {
        Self { last_ticket: 0, ready: BTreeMap::new(), locked: HashMap::new() }
    }

    /// Returns the last ticket that was given out.
    pub(crate) fn last_ticket(&self) -> u64 {
        self.last_ticket
    }

    /// Gives out a ticket: a number higher than all before.
    pub(crate) fn next_ticket(&mut self) -> u64 {
        self.last_ticket += 1;
        self.last_ticket
    }

    /// Locks the key for an operation that is sent without being queued. Returns false if the key is
    /// locked already.
    pub(crate) fn lock(&mut self, key: &SessionKey) -> bool {
        if !O::is_change() {
            return true;
        }
        match self.locked.entry(*key) {
            Entry::Occupied(_) => false,
            Entry::Vacant(free) => {
                free.insert(BTreeMap::new());
                true
            }
        }
    }

    /// Unlocks the key: the next change of it becomes ready.
    pub(crate) fn unlock(&mut self, key: &SessionKey) {
        if !O::is_change() {
            return;
        }
        let Entry::Occupied(mut locked) = self.locked.entry(*key) else { return };
        match locked.get_mut().pop_first() {
            Some((ticket, next)) => {
                self.ready.insert(ticket, next);
            }
            None => {
                locked.remove();
            }
        }
    }

    /// Adds a message, and returns the ticket by which it can be removed. The message is handed back if
    /// `max_per_key` changes wait for its key.
    pub(crate) fn push(
        &mut self,
        message: Message<O>,
        max_per_key: usize,
    ) -> std::result::Result<u64, Message<O>> {
        let ticket = self.next_ticket();
        let key = *message.op.key();
        if self.lock(&key) {
            self.ready.insert(ticket, message);
            return Ok(ticket);
        }
        let later = self.locked.entry(key).or_default();
        if later.len() >= max_per_key {
            return Err(message);
        }
        later.insert(ticket, message);
        Ok(ticket)
    }

    /// Removes the changes of a locked key, up to a ticket, whose outcome is known without sending them.
    pub(crate) fn settle(
        &mut self,
        key: &SessionKey,
        ticket: u64,
        outcome: impl Fn(&O) -> Option<Result<O::Answer>>,
    ) -> Vec<(Message<O>, Result<O::Answer>)> {
        let Some(later) = self.locked.get_mut(key) else { return Vec::new() };
        let mut outcomes = Vec::new();
        let settled = later.extract_if(..=ticket, |_, message| {
            let known = outcome(&message.op);
            let is_known = known.is_some();
            outcomes.extend(known);
            is_known
        });
        let settled: Vec<_> = settled.map(|(_, message)| message).collect();
        settled.into_iter().zip(outcomes).collect()
    }

    /// Removes a message.
    pub(crate) fn remove(&mut self, ticket: u64, key: &SessionKey) -> Option<Message<O>> {
        if let Some(message) = self.ready.remove(&ticket) {
            self.unlock(key);
            return Some(message);
        }
        self.locked.get_mut(key)?.remove(&ticket)
    }

    /// Removes the oldest ready message, joined with its followers, if it has at most `max_bytes`. Its
    /// key stays locked.
    pub(crate) fn pop(&mut self, max_bytes: usize, max_data_len: usize) -> Option<Message<O>> {
        let first = self.ready.first_entry()?;
        if first.get().op.bytes() > max_bytes {
            return None;
        }
        let mut first = first.remove();
        if O::is_change() {
            self.join(&mut first, max_bytes, max_data_len);
        }
        Some(first)
    }

    /// Joins the next changes of the same key, as far as they can be joined.
    fn join(&mut self, first: &mut Message<O>, max_bytes: usize, max_data_len: usize) {
        let Some(later) = self.locked.get_mut(first.op.key()) else { return };
        // A message past its deadline is not sent.
        if later.is_empty() || Runtime::has_passed(first.deadline) {
            return;
        }
        while let Some(next) = later.first_entry()
            && let Some(joined) = first.op.joined(&next.get().op, max_data_len)
            && joined.bytes() <= max_bytes
            // Its caller is told that it was not sent, so it must not be sent as part of another message.
            && !Runtime::has_passed(next.get().deadline)
        {
            first.op = joined;
            first.deadline = first.deadline.max(next.get().deadline);
            first.followers.push(next.remove_entry());
        }
    }

    /// Puts joined messages back, to be sent by themselves. The key stays locked.
    pub(crate) fn put_back(&mut self, key: &SessionKey, followers: Vec<(u64, Message<O>)>) {
        self.locked.entry(*key).or_default().extend(followers);
    }

    /// Removes all messages. Only the keys of what is in flight stay locked.
    pub(crate) fn clear(&mut self) -> Vec<Message<O>> {
        let mut all = Vec::new();
        for message in mem::take(&mut self.ready).into_values() {
            all.extend(self.locked.remove(message.op.key()).into_iter().flat_map(BTreeMap::into_values));
            all.push(message);
        }
        all.extend(self.locked.values_mut().flat_map(|later| mem::take(later).into_values()));
        all
    }

    /// Returns true if no message is ready. A message that waits for another change of its key is not.
    pub(crate) fn has_none_ready(&self) -> bool {
        self.ready.is_empty()
    }
}
