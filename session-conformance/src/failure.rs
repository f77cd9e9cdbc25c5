use std::{fmt, panic::Location};

use session_core::Error;
use tokio::task::JoinError;

/// A failure that a case found, and its location in the case.
pub(crate) struct Failure {
    message: String,
    location: &'static Location<'static>,
    is_outage: bool,
}

/// The result of a case, or of a part of one.
pub(crate) type Checked<T = ()> = Result<T, Failure>;

impl Failure {
    #[track_caller]
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), location: Location::caller(), is_outage: false }
    }

    /// Returns true if the failure is only that the store was `Unavailable`.
    pub(crate) fn is_outage(&self) -> bool {
        self.is_outage
    }

    /// The same failure, located in the named part of the case.
    pub(crate) fn within(self, part: &str) -> Self {
        Self { message: format!("{}\n    ({part})", self.message), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n    (found at {}:{})", self.message, self.location.file(), self.location.line())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Error> for Failure {
    #[track_caller]
    fn from(error: Error) -> Self {
        let message = format!("an operation that should have succeeded failed: {error}");
        Self { is_outage: error.is_transient(), ..Self::new(message) }
    }
}

impl From<JoinError> for Failure {
    #[track_caller]
    fn from(error: JoinError) -> Self {
        Self::new(format!("an operation panicked: {error}"))
    }
}

/// Fails the case with a message unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::failure::Failure::new(format!($($message)+)));
        }
    };
}

/// Fails the case unless both values are equal. The message says what was expected.
macro_rules! ensure_eq {
    ($found:expr, $expected:expr, $($message:tt)+) => {
        match (&$found, &$expected) {
            (found, expected) => {
                if *found != *expected {
                    return Err($crate::failure::Failure::new(format!(
                        "{}\n    expected: {expected:?}\n       found: {found:?}",
                        format_args!($($message)+)
                    )));
                }
            }
        }
    };
}

/// Fails the case unless the value matches the pattern. Binds the variables of the pattern.
macro_rules! ensure_let {
    ($pattern:pat = $found:expr, $($message:tt)+) => {
        let found = $found;
        let $pattern = found else {
            return Err($crate::failure::Failure::new(format!(
                "{}\n    expected: {}\n       found: {found:?}",
                format_args!($($message)+),
                stringify!($pattern)
            )));
        };
    };
}

pub(crate) use {ensure, ensure_eq, ensure_let};
