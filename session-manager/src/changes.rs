use std::{collections::BTreeMap, time::Duration};

use crate::payload::{Payload, Stored};

/// The unsaved changes of a handle.
#[derive(Default)]
pub(crate) struct Changes {
    values: BTreeMap<Box<str>, Change>,
    /// Remove all values that the session has when it is first loaded.
    clear: bool,
    label: Option<(u64, Option<Box<str>>)>,
    timeouts: Option<(u64, (u64, u64))>,
    change_seq: u64,
}

struct Change {
    change_seq: u64,
    /// `None` removes the value.
    value: Option<(u8, Vec<u8>)>,
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty() && !self.clear && self.label.is_none() && self.timeouts.is_none()
    }

    /// Whether the changes set a value, which is worth creating a session.
    pub(crate) fn worth_a_session(&self) -> bool {
        self.values.values().any(|change| change.value.is_some())
    }

    pub(crate) fn set(&mut self, key: &str, codec: u8, bytes: Vec<u8>) {
        self.put(key, Some((codec, bytes)));
    }

    pub(crate) fn remove(&mut self, key: &str) {
        self.put(key, None);
    }

    fn put(&mut self, key: &str, value: Option<(u8, Vec<u8>)>) {
        let change_seq = self.next_change_seq();
        if let Some(change) = self.values.get_mut(key) {
            *change = Change { change_seq, value };
        } else {
            self.values.insert(key.into(), Change { change_seq, value });
        }
    }

    fn next_change_seq(&mut self) -> u64 {
        self.change_seq += 1;
        self.change_seq
    }

    /// Removes all values, including those of `seen`. Without `seen`: those that the first load
    /// shows.
    pub(crate) fn clear(&mut self, seen: Option<&Payload>) {
        self.values.clear();
        match seen {
            Some(payload) => payload.keys().for_each(|key| self.remove(key)),
            None => self.clear = true,
        }
    }

    /// Applies a pending [`clear`](Self::clear) to the values that the first load has shown. Values
    /// that were set since stay.
    pub(crate) fn see(&mut self, payload: Option<&Payload>) {
        if std::mem::take(&mut self.clear)
            && let Some(payload) = payload
        {
            for key in payload.keys() {
                if !self.values.contains_key(key) {
                    self.remove(key);
                }
            }
        }
    }

    pub(crate) fn set_label(&mut self, label: Option<Box<str>>) {
        self.label = Some((self.next_change_seq(), label));
    }

    pub(crate) fn set_timeouts(&mut self, idle: Duration, absolute: Duration) {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.timeouts = Some((self.next_change_seq(), (millis(idle), millis(absolute))));
    }

    #[expect(clippy::option_option, reason = "a change, if any, to a value, if any")]
    /// The pending change of the value under `key`: `None` if it stays, `Some(None)` if it is
    /// removed.
    pub(crate) fn of(&self, key: &str) -> Option<Option<Stored<'_>>> {
        match self.values.get(key) {
            Some(change) => Some(change.value.as_ref().map(stored)),
            None => self.clear.then_some(None),
        }
    }

    /// The changed keys, ascending.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.values.keys().map(|key| String::from(&**key)).collect()
    }

    /// The changed keys with their new values, ascending by key. `None` removes.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&str, Option<Stored<'_>>)> {
        self.values.iter().map(|(key, change)| (&**key, change.value.as_ref().map(stored)))
    }

    #[expect(clippy::option_option, reason = "a change, if any, to a label, if any")]
    pub(crate) fn label(&self) -> Option<Option<&str>> {
        self.label.as_ref().map(|(_, label)| label.as_deref())
    }

    pub(crate) fn timeouts(&self) -> Option<(u64, u64)> {
        self.timeouts.map(|(_, timeouts)| timeouts)
    }

    /// The number of the latest change, for [`saved`](Self::saved).
    pub(crate) fn change_seq(&self) -> u64 {
        self.change_seq
    }

    /// Forgets the changes up to `change_seq`, which are stored. Later changes, made while the store was
    /// busy, stay.
    pub(crate) fn saved(&mut self, change_seq: u64) {
        self.values.retain(|_, change| change.change_seq > change_seq);
        self.label.take_if(|(at, _)| *at <= change_seq);
        self.timeouts.take_if(|(at, _)| *at <= change_seq);
    }

    /// Forgets the change of one key, unless it is later than `change_seq`.
    pub(crate) fn saved_key(&mut self, key: &str, change_seq: u64) {
        if self.values.get(key).is_some_and(|change| change.change_seq <= change_seq) {
            self.values.remove(key);
        }
    }
}

fn stored((codec, bytes): &(u8, Vec<u8>)) -> Stored<'_> {
    Stored { codec: *codec, bytes }
}
