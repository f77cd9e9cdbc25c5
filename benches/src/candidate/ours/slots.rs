use std::fmt;

use parking_lot::Mutex;
use session_core::{SessionId, SessionKey, Version};

use crate::candidate::Result;

/// What an application knows of one session.
#[derive(Clone, Debug)]
pub struct Slot {
    /// The id in the client's cookie.
    pub id: SessionId,
    /// The key in the store.
    pub key: SessionKey,
    /// The version that was last seen or written.
    pub version: Version,
}

impl Slot {
    /// A session whose version is not known yet.
    pub fn of(id: SessionId) -> Self {
        let key = id.key();
        Self { id, key, version: Version::random() }
    }

    /// The same session with this version.
    #[must_use]
    pub fn at(mut self, version: Version) -> Self {
        self.version = version;
        self
    }
}

/// The sessions by number.
pub struct Slots(Box<[Mutex<Option<Slot>>]>);

impl Slots {
    /// Creates room for this many sessions.
    pub fn new(sessions: usize) -> Self {
        Self((0..sessions).map(|_| Mutex::new(None)).collect())
    }

    /// The session of this number.
    ///
    /// # Errors
    ///
    /// If it was never created.
    pub fn get(&self, session: usize) -> Result<Slot> {
        self.0[session].lock().clone().ok_or_else(|| never(session))
    }

    /// The key of this session.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    pub fn key(&self, session: usize) -> Result<SessionKey> {
        self.0[session].lock().as_ref().map(|slot| slot.key).ok_or_else(|| never(session))
    }

    /// The key and the last seen version.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    pub fn key_and_version(&self, session: usize) -> Result<(SessionKey, Version)> {
        let slot = self.0[session].lock();
        slot.as_ref().map(|slot| (slot.key, slot.version)).ok_or_else(|| never(session))
    }

    /// Assigns this session to the number.
    pub fn set(&self, session: usize, slot: Slot) {
        *self.0[session].lock() = Some(slot);
    }

    /// Records a version, unless the number refers to another key by now.
    pub fn seen(&self, session: usize, key: &SessionKey, version: Version) {
        if let Some(slot) = self.0[session].lock().as_mut().filter(|slot| slot.key == *key) {
            slot.version = version;
        }
    }
}

fn never(session: usize) -> crate::candidate::Error {
    format!("session {session} was never created").into()
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slots({})", self.0.len())
    }
}
