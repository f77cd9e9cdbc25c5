use session_core::{Owner, SessionKey};

/// A change of a session's life cycle: for audit logs, and for closing resources that belong to the
/// session.
///
/// The manager that made the change reports it afterwards. Changes of other processes are reported
/// by their managers. Keys are not secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// The session was stored for the first time.
    Created {
        /// Its key.
        key: SessionKey,
        /// Its owner, if any.
        owner: Option<Owner>,
    },
    /// The session goes on under a new key, after a login or a rotation.
    Rotated {
        /// The key that is no longer valid.
        old: SessionKey,
        /// The key it has now.
        new: SessionKey,
        /// Its owner, if any.
        owner: Option<Owner>,
    },
    /// The session was ended on purpose: by a logout, by "log out everywhere", or to make room for
    /// a newer session of its owner.
    Destroyed {
        /// The key it had.
        key: SessionKey,
    },
    /// A timeout of the session has passed. Reported only by
    /// [`SessionManager::watch_expiry`](crate::SessionManager::watch_expiry), and late: when the
    /// store frees the space.
    Expired {
        /// The key it had.
        key: SessionKey,
    },
}
