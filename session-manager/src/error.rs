use std::{error::Error as StdError, fmt};

use session_core::Owner;

use crate::Codec;

/// What every fallible call of this crate returns.
pub type Result<T, E = SessionError> = std::result::Result<T, E>;

/// Why something could not be done with a session. It never holds an id or a value; keys are named.
#[derive(Debug)]
#[non_exhaustive]
pub enum SessionError {
    /// The store could not be asked, or what it holds cannot be read. An outage, among others: the session may well be there.
    Store(session_core::Error),
    /// The session has ended elsewhere: by a logout, a login or a rotation under another handle, or its timeout. Nothing was saved, and
    /// nothing will be through this handle; the session under its old id stays ended.
    Gone {
        /// The keys whose changes were not saved.
        unsaved: Vec<String>,
    },
    /// The response was sent already, so that no client could be told the id that this would have given the session: see
    /// [`Session::response_sent`](crate::Session::response_sent). Nothing was stored; save or log in before the response is sent.
    TooLate {
        /// The keys whose changes were not saved.
        unsaved: Vec<String>,
    },
    /// Another request has changed the same keys, and the policy is [`SameKey::Fail`](crate::SameKey::Fail). Nothing was saved.
    SameKey {
        /// The keys that both have changed.
        keys: Vec<String>,
    },
    /// So many others write to this session that no attempt came through. Nothing was saved; calling again is safe.
    Contended {
        /// How often it was tried.
        attempts: u32,
    },
    /// The codec cannot carry this value. Nothing was changed.
    Encode {
        /// The key.
        key: String,
        /// The codec.
        codec: Codec,
        /// The type of the value.
        type_name: &'static str,
        /// What was wrong, in fixed words: what serde says could quote the value.
        reason: &'static str,
    },
    /// The value under this key is not of the type that was asked for. All other keys are unharmed.
    Decode {
        /// The key.
        key: String,
        /// The codec that encoded it, or `None` if this release does not know it.
        codec: Option<Codec>,
        /// The type that was asked for.
        type_name: &'static str,
        /// What was wrong, in fixed words: what serde says could quote the value.
        reason: &'static str,
    },
    /// The session would be larger than is allowed. Nothing was changed.
    TooLarge {
        /// How many bytes it would have.
        len: usize,
        /// How many are allowed.
        max: usize,
        /// The key with the largest value.
        largest: String,
    },
    /// The owner has as many sessions as are allowed, and the policy is [`WhenReached::Refuse`](crate::WhenReached::Refuse).
    TooManySessions {
        /// Whose sessions.
        owner: Owner,
        /// How many are allowed.
        max: usize,
    },
}

impl SessionError {
    /// Whether the same call may well succeed later without anybody changing anything: an outage, or too many writers.
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
