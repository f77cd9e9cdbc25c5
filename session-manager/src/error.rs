use std::{error::Error as StdError, fmt};

use session_core::Owner;

use crate::Codec;

/// The result of all fallible calls of this crate.
pub type Result<T, E = SessionError> = std::result::Result<T, E>;

/// Why an operation on a session failed. It never contains an id or a value; keys are named.
#[derive(Debug)]
#[non_exhaustive]
pub enum SessionError {
    /// The store could not be asked, or its record cannot be read. This includes outages: the
    /// session may well exist.
    Store(session_core::Error),
    /// The session has ended elsewhere: by a logout, a login or a rotation through another handle,
    /// or by its timeout. Nothing was saved, and this handle will save nothing more. The session
    /// under its old id stays ended.
    Gone {
        /// The keys whose changes were not saved.
        unsaved: Vec<String>,
    },
    /// The response was already sent, so no client could get the id that this call would have given
    /// the session: see [`Session::response_sent`](crate::Session::response_sent). Nothing was
    /// stored. Save or log in before the response is sent.
    TooLate {
        /// The keys whose changes were not saved.
        unsaved: Vec<String>,
    },
    /// Another request has changed the same keys, and the policy is
    /// [`SameKey::Fail`](crate::SameKey::Fail). Nothing was saved.
    SameKey {
        /// The keys that both have changed.
        keys: Vec<String>,
    },
    /// Concurrent writes to this session made every attempt fail. Nothing was saved; calling again
    /// is safe.
    Contended {
        /// The number of attempts.
        attempts: u32,
    },
    /// The codec cannot encode this value and read it back. Nothing was changed.
    Encode {
        /// The key.
        key: String,
        /// The codec.
        codec: Codec,
        /// The type of the value.
        type_name: &'static str,
        /// The reason, in fixed words: serde's message could quote the value.
        reason: &'static str,
    },
    /// The value under this key does not have the requested type. All other keys are unaffected.
    Decode {
        /// The key.
        key: String,
        /// The codec that encoded it, or `None` if this release does not know it.
        codec: Option<Codec>,
        /// The requested type.
        type_name: &'static str,
        /// The reason, in fixed words: serde's message could quote the value.
        reason: &'static str,
    },
    /// The session would exceed the maximum size. Nothing was changed.
    TooLarge {
        /// The size that it would have, in bytes.
        len: usize,
        /// The maximum size, in bytes.
        max: usize,
        /// The key with the largest value.
        largest: String,
    },
    /// The owner has the maximum number of sessions, and the policy is
    /// [`WhenReached::Refuse`](crate::WhenReached::Refuse).
    TooManySessions {
        /// The owner.
        owner: Owner,
        /// The maximum number of sessions.
        max: usize,
    },
}

impl SessionError {
    /// Whether the same call may succeed later without any further action: after an outage, or too
    /// many concurrent writes.
    ///
    /// For a change, see also [`may_have_applied`](Self::may_have_applied).
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Contended { .. } => true,
            _ => false,
        }
    }

    /// Whether the change may be in the store, now or later, although the call failed.
    pub fn may_have_applied(&self) -> bool {
        matches!(self, Self::Store(error) if error.may_have_applied())
    }

    /// Whether the session has ended elsewhere.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Gone { .. })
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Gone { unsaved } if unsaved.is_empty() => f.write_str("the session has ended elsewhere"),
            Self::Gone { unsaved } => {
                write!(
                    f,
                    "the session has ended elsewhere; the changes of these keys were not saved: {}",
                    unsaved.join(", ")
                )
            }
            Self::TooLate { unsaved } => {
                f.write_str(
                    "the response was sent, and no client could be told the id of a new session; \
                     save the session, log in or rotate before the response is sent",
                )?;
                if unsaved.is_empty() {
                    return Ok(());
                }
                write!(f, "; the changes of these keys were not saved: {}", unsaved.join(", "))
            }
            Self::SameKey { keys } => {
                write!(
                    f,
                    "another request has changed the same keys, and nothing was saved: {}",
                    keys.join(", ")
                )
            }
            Self::Contended { attempts } => {
                write!(f, "others wrote to the session in each of {attempts} attempts, and nothing was saved")
            }
            Self::Encode { key, codec, type_name, reason } => {
                write!(
                    f,
                    "the value of {key:?}, a {type_name}, cannot be kept as {codec} and read back: {reason}"
                )
            }
            Self::Decode { key, type_name, reason, .. } => {
                write!(f, "the value of {key:?} is not of the type that was asked for, {type_name}: {reason}")
            }
            Self::TooLarge { len, max, largest } => write!(
                f,
                "the session would have {len} bytes, and {max} are allowed; the largest value is {largest:?}"
            ),
            Self::TooManySessions { max, .. } => {
                write!(f, "the owner has as many sessions as are allowed: {max}")
            }
        }
    }
}

impl StdError for SessionError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl From<session_core::Error> for SessionError {
    fn from(error: session_core::Error) -> Self {
        Self::Store(error)
    }
}
