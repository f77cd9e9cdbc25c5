use std::{fmt, sync::Arc, time::Duration};

use crate::{Codec, SessionEvent};

/// What a save does about a key that another request has changed since this handle loaded it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameKey {
    /// The last save wins. For values that depend on their previous value, use
    /// [`update`](crate::Session::update).
    #[default]
    LastWriterWins,
    /// The save changes nothing and fails with
    /// [`SessionError::SameKey`](crate::SessionError::SameKey).
    Fail,
}

/// What a login does when its owner has the maximum number of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenReached {
    /// The login fails with
    /// [`SessionError::TooManySessions`](crate::SessionError::TooManySessions), and the session
    /// stays as it was. If only overlapping logins show that there are too many, the session has no
    /// owner afterwards, and another id.
    Refuse,
    /// The login ends the owner's oldest sessions, by the time of their login.
    EndOldest,
}

pub(crate) type Listener = Arc<dyn Fn(&SessionEvent) + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) idle: Duration,
    pub(crate) absolute: Duration,
    /// A touch is due when it would gain this part of the idle timeout.
    pub(crate) touch_after: f64,
    pub(crate) codec: Codec,
    pub(crate) schema_version: u16,
    pub(crate) max_len: usize,
    pub(crate) same_key: SameKey,
    pub(crate) max_attempts: u32,
    pub(crate) limit: Option<(usize, WhenReached)>,
    pub(crate) listeners: Vec<Listener>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            idle: Duration::from_hours(24),
            absolute: Duration::from_hours(30 * 24),
            touch_after: 0.1,
            codec: Codec::default(),
            schema_version: 0,
            max_len: usize::MAX,
            same_key: SameKey::default(),
            max_attempts: 64,
            limit: None,
            listeners: Vec::new(),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("idle", &self.idle)
            .field("absolute", &self.absolute)
            .field("touch_after", &self.touch_after)
            .field("codec", &self.codec)
            .field("schema_version", &self.schema_version)
            .field("max_len", &self.max_len)
            .field("same_key", &self.same_key)
            .field("max_attempts", &self.max_attempts)
            .field("limit", &self.limit)
            .field("listeners", &self.listeners.len())
            .finish()
    }
}
