use session_core::{Owner, SessionKey};

/// What has happened to a session: for audit logs, and for closing what belongs to it.
///
/// Told by the manager that did it, after it was done; what other processes do is told by theirs. Keys are no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// It was stored for the first time.
    Created {
        /// Its key.
        key: SessionKey,
        /// Whose it is.
        owner: Option<Owner>,
    },
    /// It goes on under a new key, after a login or a rotation.
    Rotated {
        /// The key that is now worth nothing.
        old: SessionKey,
        /// The key it has now.
        new: SessionKey,
        /// Whose it is.
        owner: Option<Owner>,
    },
    /// It was ended on purpose: by a logout, by "log out everywhere", or to make room for a newer session of its owner.
    Destroyed {
        /// The key it had.
        key: SessionKey,
    },
    /// Its time has passed. Told only by [`SessionManager::watch_expiry`](crate::SessionManager::watch_expiry), and late: when the
    /// store frees the space.
    Expired {
        /// The key it had.
        key: SessionKey,
    },
}
