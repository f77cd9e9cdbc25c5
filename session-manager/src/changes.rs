use std::{collections::BTreeMap, time::Duration};

use crate::payload::{Payload, Stored};

/// What a handle has changed and not saved yet.
#[derive(Default)]
pub(crate) struct Changes {
    values: BTreeMap<Box<str>, Change>,
    /// All values are to go that are there when the session is first seen.
    clear: bool,
    label: Option<(u64, Option<Box<str>>)>,
    timeouts: Option<(u64, (u64, u64))>,
    stamp: u64,
}

struct Change {
    stamp: u64,
    /// `None` removes.
    value: Option<(u8, Vec<u8>)>,
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty() && !self.clear && self.label.is_none() && self.timeouts.is_none()
    }

    /// Whether there is anything to store in a session that is not there yet.
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
        let stamp = self.next_stamp();
        if let Some(change) = self.values.get_mut(key) {
            *change = Change { stamp, value };
        } else {
            self.values.insert(key.into(), Change { stamp, value });
        }
    }

    fn next_stamp(&mut self) -> u64 {
        self.stamp += 1;
        self.stamp
    }

    /// Removes all values, those of `seen` included; without it, those that will be seen first.
    pub(crate) fn clear(&mut self, seen: Option<&Payload>) {
        self.values.clear();
        match seen {
            Some(payload) => payload.keys().for_each(|key| self.remove(key)),
            None => self.clear = true,
        }
    }

    /// Makes [`clear`](Self::clear) good for what was just seen for the first time. What was set since stays.
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
        self.label = Some((self.next_stamp(), label));
    }

    pub(crate) fn set_timeouts(&mut self, idle: Duration, absolute: Duration) {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.timeouts = Some((self.next_stamp(), (millis(idle), millis(absolute))));
    }

    #[expect(clippy::option_option, reason = "a change, if any, to a value, if any")]
    /// What becomes of the value under `key`: `None` if it stays, `Some(None)` if it goes.
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

    /// The changed keys with what becomes of them, ascending.
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

    /// The moment up to which [`saved`](Self::saved) forgets.
    pub(crate) fn stamp(&self) -> u64 {
        self.stamp
    }

    /// Forgets what was changed up to `stamp`, because it is stored. What was changed since, while the store was busy, stays.
    pub(crate) fn saved(&mut self, stamp: u64) {
        self.values.retain(|_, change| change.stamp > stamp);
        self.label.take_if(|(at, _)| *at <= stamp);
        self.timeouts.take_if(|(at, _)| *at <= stamp);
    }

    /// Forgets what was changed under one key up to `stamp`.
    pub(crate) fn saved_key(&mut self, key: &str, stamp: u64) {
        if self.values.get(key).is_some_and(|change| change.stamp <= stamp) {
            self.values.remove(key);
        }
    }
}

fn stored((codec, bytes): &(u8, Vec<u8>)) -> Stored<'_> {
    Stored { codec: *codec, bytes }
}
