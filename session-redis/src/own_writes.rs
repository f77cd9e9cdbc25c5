use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;
use session_core::{SessionKey, Version};

/// The writes of this store for which no event has arrived yet.
///
/// The server reports that a session has changed, but not to what. By the versions of its own
/// writes, a store can tell its own changes from those of others. Without listeners, this costs one
/// atomic load.
#[derive(Debug, Default)]
pub(crate) struct OwnWrites {
    wanted: AtomicBool,
    versions: Mutex<HashMap<SessionKey, Version>>,
}

/// Far more writes than are in flight at any moment. A forgotten write is taken for a change by
/// another node.
const MOST: usize = 1 << 16;

impl OwnWrites {
    /// Starts or stops recording writes. Forgets all recorded writes, because events may have been
    /// missed.
    pub(crate) fn want(&self, wanted: bool) {
        self.wanted.store(wanted, Ordering::SeqCst);
        self.versions.lock().clear();
    }

    /// Records writes that are about to be sent.
    pub(crate) fn begin(&self, writes: impl IntoIterator<Item = (SessionKey, Version)>) {
        if self.wanted.load(Ordering::SeqCst) {
            let mut versions = self.versions.lock();
            if versions.len() >= MOST {
                versions.clear();
            }
            versions.extend(writes);
        }
    }

    /// The version that this store has written under this key, or is about to write.
    pub(crate) fn of(&self, key: &SessionKey) -> Option<Version> {
        if self.wanted.load(Ordering::SeqCst) { self.versions.lock().get(key).copied() } else { None }
    }

    /// Forgets a write whose event has arrived, or that was not carried out.
    pub(crate) fn end(&self, key: &SessionKey, version: Version) {
        if self.wanted.load(Ordering::SeqCst) {
            let mut versions = self.versions.lock();
            if versions.get(key) == Some(&version) {
                versions.remove(key);
            }
        }
    }
}
