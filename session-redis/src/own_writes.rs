use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;
use session_core::{SessionKey, Version};

/// What this store has written and not heard of yet.
///
/// The server says that a session has changed, and not to what. So that a node need not take its own changes for those of others, it looks at the version
/// of what it has written itself. Costs a glance at a flag as long as nobody listens.
#[derive(Debug, Default)]
pub(crate) struct OwnWrites {
    wanted: AtomicBool,
    versions: Mutex<HashMap<SessionKey, Version>>,
}

/// Far more than are under way at any moment. To forget some costs that they are taken for changes by others.
const MOST: usize = 1 << 16;

impl OwnWrites {
    /// Begins or ends to note writes. What was noted before is forgotten, because events may have been missed.
    pub(crate) fn want(&self, wanted: bool) {
        self.wanted.store(wanted, Ordering::SeqCst);
        self.versions.lock().clear();
    }

    /// Notes writes that are about to be sent.
    pub(crate) fn begin(&self, writes: impl IntoIterator<Item = (SessionKey, Version)>) {
        if self.wanted.load(Ordering::SeqCst) {
            let mut versions = self.versions.lock();
            if versions.len() >= MOST {
                versions.clear();
            }
            versions.extend(writes);
        }
    }

    /// The version that this store has written there, or is about to.
    pub(crate) fn of(&self, key: &SessionKey) -> Option<Version> {
        if self.wanted.load(Ordering::SeqCst) { self.versions.lock().get(key).copied() } else { None }
    }

    /// Forgets a write that was heard of, or that was not carried out.
    pub(crate) fn end(&self, key: &SessionKey, version: Version) {
        if self.wanted.load(Ordering::SeqCst) {
            let mut versions = self.versions.lock();
            if versions.get(key) == Some(&version) {
                versions.remove(key);
            }
        }
    }
}
