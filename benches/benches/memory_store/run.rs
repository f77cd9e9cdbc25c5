//! The timed operations.

use std::hint::black_box;

use session_core::{Bytes, SessionKey, Version, When, WriteItem};

use crate::sessions::Sessions;

/// New sessions that a thread keeps before it deletes the oldest of them.
const CHURN_BACKLOG: usize = 1000;

/// Items per batch.
const BATCH: usize = 64;

pub(crate) fn read(on: &impl Sessions, keys: &[SessionKey]) {
    for key in keys {
        assert!(on.read(key), "every session is there");
    }
}

pub(crate) fn touch(on: &impl Sessions, keys: &[SessionKey]) {
    for key in keys {
        assert!(on.touch(key), "every session is there");
    }
}

/// Returns what the map gave away, to be freed after the timing, unless it is to be freed at once.
///
/// A version drawn here is discarded, and the one drawn before is written, because the following
/// writes expect that one. It takes the same time.
pub(crate) fn write(on: &impl Sessions, mut items: Vec<WriteItem>, draw: bool, free: bool) -> Vec<WriteItem> {
    for WriteItem { key, write, when } in &mut items {
        if draw {
            black_box(Version::random());
        }
        assert!(on.write(key, write, expected(*when)), "every version is the expected one");
        if free {
            write.data = Bytes::new();
        }
    }
    items
}

pub(crate) fn churn(on: &impl Sessions, keys: &[SessionKey], items: Vec<WriteItem>) {
    for (number, item) in items.into_iter().enumerate() {
        assert!(on.create(&item.key, item.write), "every key is a new one");
        if let Some(oldest) = number.checked_sub(CHURN_BACKLOG) {
            assert!(on.delete(&keys[oldest]), "it was created");
        }
    }
    for key in &keys[keys.len().saturating_sub(CHURN_BACKLOG)..] {
        assert!(on.delete(key), "it was created");
    }
}

/// Returns a guard that deletes the renamed sessions after the timing.
pub(crate) fn rename<S: Sessions>(on: &S, items: Vec<(WriteItem, SessionKey)>) -> Deleter<'_, S> {
    let mut renamed = Deleter { on, keys: Vec::with_capacity(items.len()) };
    for (item, new) in items {
        assert!(
            on.rename(&item.key, &new, item.write, expected(item.when)),
            "it is there, its successor is not"
        );
        renamed.keys.push(new);
    }
    renamed
}

/// Deletes these sessions when it is dropped.
pub(crate) struct Deleter<'a, S: Sessions> {
    on: &'a S,
    keys: Vec<SessionKey>,
}

impl<S: Sessions> Drop for Deleter<'_, S> {
    fn drop(&mut self) {
        self.keys.iter().for_each(|key| assert!(self.on.delete(key), "it was renamed to this"));
    }
}

pub(crate) fn read_many(on: &impl Sessions, keys: &[SessionKey]) {
    for keys in keys.chunks(BATCH) {
        assert!(on.read_many(keys), "every session is there");
    }
}

/// Returns the items, which share the written data, as with a caller that keeps them.
pub(crate) fn write_many(on: &impl Sessions, items: Vec<WriteItem>) -> Vec<WriteItem> {
    for items in items.chunks(BATCH) {
        assert!(on.write_many(items), "every version is the expected one");
    }
    items
}

fn expected(when: When) -> Version {
    let When::Version(expected) = when else { unreachable!("it is a replacement") };
    expected
}
