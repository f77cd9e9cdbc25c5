use std::fmt;

use session_core::{Error, ErrorKind, Operation};

/// Why bytes are not a payload that this release can read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayloadError {
    /// The bytes are damaged, or were not written as a session. Holds the first defect that was
    /// found.
    Damaged(&'static str),
    /// A release with another payload format wrote the bytes. Holds the number of that format.
    OtherFormat(u8),
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(what) => write!(f, "the payload cannot be read: {what}"),
            Self::OtherFormat(format) => write!(
                f,
                "the payload has format {format}, and this release of session-manager reads format {}; update it, \
                 or let the release that wrote the session serve it",
                super::header::FORMAT
            ),
        }
    }
}

impl std::error::Error for PayloadError {}

impl From<PayloadError> for Error {
    fn from(error: PayloadError) -> Self {
        let kind = match error {
            PayloadError::Damaged(_) => ErrorKind::Corrupt,
            PayloadError::OtherFormat(_) => ErrorKind::Unsupported,
        };
        Self::new(kind, Operation::Read).because(error.to_string())
    }
}
