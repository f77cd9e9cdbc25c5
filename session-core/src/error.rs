use std::{error::Error as StdError, fmt, sync::Arc};

use crate::Operation;

/// The result type of every fallible call of this workspace.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The failure of an operation on a store.
///
/// A conflict is not an error: it is a [`WriteOutcome`](crate::WriteOutcome). An `Error` means that
/// the store could not answer, or that the request was invalid. It never holds a session id or
/// session data.
///
/// Cloning is cheap and shares the source, because a failed batch gives the same error to each of
/// its items.
///
/// ```
/// use session_core::{Error, ErrorKind, Operation};
///
/// let error = Error::unavailable(Operation::Write, true)
///     .because("no reply within 2 s")
///     .with_source(std::io::Error::from(std::io::ErrorKind::TimedOut));
/// assert!(error.is_transient() && error.may_have_applied());
/// assert_eq!(error.to_string(), "write: the store is unavailable, and the change may have been applied: no reply within 2 s");
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    operation: Operation,
    reason: Option<Box<str>>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// The kind of an [`Error`], for programs to match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store did not answer: the server is down, frozen, unreachable, overloaded or slower than
    /// the deadline.
    ///
    /// With `may_have_applied`, the request may have reached the store, so a change may already be
    /// there or may still happen. No layer re-runs such a change by itself. Without it, nothing has
    /// changed and nothing will. An operation that changes nothing fails without it.
    Unavailable {
        /// Whether the store may have applied the change although no answer arrived.
        may_have_applied: bool,
    },
    /// The data is longer than the store accepts. Nothing has changed.
    TooLarge {
        /// The length of the data that was refused, in bytes.
        len: usize,
        /// The longest data that the store accepts, in bytes.
        max: usize,
    },
    /// The time to live is zero or longer than [`Ttl::MAX`](crate::Ttl::MAX).
    InvalidTtl,
    /// The owner is empty, too long, or holds control characters.
    InvalidOwner,
    /// The text is not a session id. The text itself is never repeated, because it may be a secret.
    InvalidId,
    /// The store has reached its configured limit and refuses new sessions. Nothing has changed.
    Full,
    /// The value stored under the key is not a record: it was damaged, or another program wrote it.
    Corrupt,
    /// The stored value has a format, or was written by a release, that this release does not know.
    Unsupported,
    /// A setting, a URL or an option is not usable.
    Config,
    /// The store was closed by [`SessionStore::close`](crate::SessionStore::close).
    Closed,
    /// Anything else: a defect, or an unexpected answer of the driver.
    Internal,
}

impl Error {
    /// An error of `kind` in `operation`, without a reason and without a source.
    pub fn new(kind: ErrorKind, operation: Operation) -> Self {
        Self(Box::new(Inner { kind, operation, reason: None, source: None }))
    }

    /// Shorthand for [`ErrorKind::Unavailable`].
    pub fn unavailable(operation: Operation, may_have_applied: bool) -> Self {
        Self::new(ErrorKind::Unavailable { may_have_applied }, operation)
    }

    /// Shorthand for [`ErrorKind::TooLarge`]: `len` bytes were given and `max` are accepted.
    pub fn too_large(operation: Operation, len: usize, max: usize) -> Self {
        Self::new(ErrorKind::TooLarge { len, max }, operation)
    }

    /// Adds a human-readable reason: what was wrong and what to do about it. Must not hold a
    /// session id or data.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.0.reason = Some(reason.into().into_boxed_str());
        self
    }

    /// Sets the underlying error, which [`source`](StdError::source) returns.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// Returns the same error with another `operation`.
    ///
    /// For an operation that consists of others: its caller knows only the whole.
    #[must_use]
    pub fn during(mut self, operation: Operation) -> Self {
        self.0.operation = operation;
        self
    }

    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that failed.
    pub fn operation(&self) -> Operation {
        self.0.operation
    }

    /// Returns true if the same call may succeed later without any other change.
    ///
    /// True for [`ErrorKind::Unavailable`] alone. Transient does not mean "safe to repeat": for a change, see
    /// [`may_have_applied`](Self::may_have_applied).
    pub fn is_transient(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Unavailable { .. })
    }

    /// Returns true if the change may be in the store, now or later, although the call failed.
    pub fn may_have_applied(&self) -> bool {
        self.0.kind == ErrorKind::Unavailable { may_have_applied: true }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable { may_have_applied: true } => {
                "the store is unavailable, and the change may have been applied"
            }
            Self::Unavailable { may_have_applied: false } => {
                "the store is unavailable, and nothing was changed"
            }
            Self::TooLarge { len, max } => {
                return write!(f, "the data has {len} bytes, and this store accepts at most {max}");
            }
            Self::InvalidTtl => "the time to live is not usable",
            Self::InvalidOwner => "the owner is not usable",
            Self::InvalidId => "this is not a session id",
            Self::Full => "the store is full",
            Self::Corrupt => "what is stored under this key is not a session record",
            Self::Unsupported => "the stored record has a format that this release does not know",
            Self::Config => "the configuration cannot be used",
            Self::Closed => "the store was closed",
            Self::Internal => "the store failed in a way it should not",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.operation, self.0.kind)?;
        match &self.0.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, operation, reason, source } = &*self.0;
        let mut out = f.debug_struct("Error");
        out.field("kind", kind).field("operation", operation);
        if let Some(reason) = reason {
            out.field("reason", reason);
        }
        if let Some(source) = source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_source_through_a_clone() {
        let error = Error::new(ErrorKind::Internal, Operation::Read).with_source("the driver broke").clone();
        assert_eq!(error.source().expect("a source").to_string(), "the driver broke");
        assert_eq!(error.to_string(), "read: the store failed in a way it should not");
    }

    #[test]
    fn another_operation_keeps_what_was_wrong() {
        let error = Error::new(ErrorKind::Closed, Operation::Read)
            .because("by Alice")
            .with_source("the driver broke");
        let error = error.during(Operation::Ping);
        assert_eq!((error.operation(), error.kind()), (Operation::Ping, ErrorKind::Closed));
        assert_eq!(error.to_string(), "ping: the store was closed: by Alice");
        assert_eq!(error.source().expect("a source").to_string(), "the driver broke");
    }

    #[test]
    fn only_an_outage_is_transient() {
        assert!(Error::unavailable(Operation::Read, false).is_transient());
        assert!(!Error::unavailable(Operation::Read, false).may_have_applied());
        for kind in [ErrorKind::Full, ErrorKind::Corrupt, ErrorKind::Closed, ErrorKind::Internal] {
            assert!(!Error::new(kind, Operation::Write).is_transient(), "{kind:?}");
        }
    }
}
