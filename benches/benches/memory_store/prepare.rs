//! Preparations before the timing.

use std::collections::HashMap;

use session_core::{Bytes, SessionKey, When, WriteItem};

use crate::sessions::Sessions;
use crate::{run, session};

/// Warms the processor caches after the other candidate's turn.
pub(crate) fn warm<'a>(on: &impl Sessions, keys: &'a [SessionKey]) -> &'a [SessionKey] {
    run::read(on, keys);
    keys
}

/// A replacement for each session, conditional on the version that will be there by then.
pub(crate) fn replacements(on: &impl Sessions, keys: &[SessionKey]) -> Vec<WriteItem> {
    let mut last = HashMap::new();
    let replace = |(number, key): (u64, &SessionKey)| {
        let write = session::replacement(key, number);
        let expected = last.insert(*key, write.version).unwrap_or_else(|| on.get(key).1);
        WriteItem { key: *key, write, when: When::Version(expected) }
    };
    (0..).zip(keys).map(replace).collect()
}

/// Like [`replacements`], with handles on all old and new data, so that no write frees any.
pub(crate) fn held(on: &impl Sessions, keys: &[SessionKey]) -> (Vec<WriteItem>, Vec<Bytes>) {
    let items = replacements(on, keys);
    let held = keys.iter().map(|key| on.get(key).0).chain(items.iter().map(|item| item.write.data.clone()));
    let held = held.collect();
    (items, held)
}

pub(crate) fn creations(keys: &[SessionKey]) -> Vec<WriteItem> {
    let create = |(number, key): (u64, &SessionKey)| WriteItem {
        key: *key,
        write: session::creation(key, number),
        when: When::Absent,
    };
    (0..).zip(keys).map(create).collect()
}

/// Creates the sessions, and returns the writes that rename them and the new keys.
pub(crate) fn created(on: &impl Sessions, keys: &[SessionKey]) -> Vec<(WriteItem, SessionKey)> {
    for item in creations(keys) {
        assert!(on.create(&item.key, item.write), "every key is a new one");
    }
    let items = replacements(on, keys).into_iter();
    items.map(|item| (session::rotated(&item.key), item)).map(|(new, item)| (item, new)).collect()
}
