use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;
use session_core::{Operation, SessionKey};

use crate::gate::Call;

/// The calls in flight, and the violations among them.
#[derive(Debug, Default)]
pub(crate) struct Inside(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    calls: HashMap<Operation, usize>,
    most_calls: usize,
    changed_keys: HashSet<SessionKey>,
    shared_keys: usize,
}

impl Inside {
    /// Counts a call as in flight until the returned guard is dropped.
    pub(crate) fn enter(&self, call: &Call) -> Visit<'_> {
        let changes = if call.operation == Operation::Write { call.keys.clone() } else { Vec::new() };
        let mut counts = self.0.lock();
        for key in &changes {
            if !counts.changed_keys.insert(*key) {
                counts.shared_keys += 1;
            }
        }
        let calls = counts.calls.entry(call.operation).or_default();
        *calls += 1;
        let calls = *calls;
        counts.most_calls = counts.most_calls.max(calls);
        Visit { inside: self, operation: call.operation, changes }
    }

    /// The most calls of one kind of operation that were in flight at the same time.
    pub(crate) fn most_calls(&self) -> usize {
        self.0.lock().most_calls
    }

    /// How often a key was written by two calls in flight.
    pub(crate) fn shared_keys(&self) -> usize {
        self.0.lock().shared_keys
    }
}

pub(crate) struct Visit<'a> {
    inside: &'a Inside,
    operation: Operation,
    changes: Vec<SessionKey>,
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let mut counts = self.inside.0.lock();
        *counts.calls.entry(self.operation).or_default() -= 1;
        for key in &self.changes {
            counts.changed_keys.remove(key);
        }
    }
}
