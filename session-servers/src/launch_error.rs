//! Why a server could not be launched.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;

/// The reason why a server could not be launched.
///
/// The text is meant to be shown as it is: it names the program and what to do about the failure.
#[derive(Debug)]
#[non_exhaustive]
pub enum LaunchError {
    /// The program is not on this machine. A test harness may ignore a case for this reason.
    NotInstalled {
        /// The missing program.
        program: String,
        /// A command that installs it, e.g. `apt-get install redis-server`.
        install: String,
    },
    /// The program ran but did not become a working server.
    Failed {
        /// The program that was run.
        program: String,
        /// The observed failure, e.g. an exit status.
        reason: String,
        /// The end of the program's output.
        log: String,
    },
    /// Another process listens on the server's port. A first start returns this after it has tried
    /// several ports. A restart has no other port to try.
    PortTaken {
        /// The program that was run.
        program: String,
        /// The address on which it should have listened.
        addr: SocketAddr,
    },
    /// An operation of the operating system failed.
    Io {
        /// What was attempted, e.g. `create a temporary directory`.
        attempt: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl LaunchError {
    /// Returns true if the program is missing, as opposed to broken.
    #[must_use]
    pub fn is_not_installed(&self) -> bool {
        matches!(self, Self::NotInstalled { .. })
    }

    /// Maps the I/O error of one attempt, for `map_err`.
    pub(crate) fn io(attempt: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { attempt, source }
    }
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInstalled { program, install } => {
                write!(f, "{program} is not installed (try: {install})")
            }
            Self::Failed { program, reason, log } => {
                write!(f, "{program} did not start: {reason}; the end of its log:\n{log}")
            }
            Self::PortTaken { program, addr } => {
                write!(f, "{program} did not start: another program listens on {addr}")
            }
            Self::Io { attempt, .. } => write!(f, "could not {attempt}"),
        }
    }
}

impl Error for LaunchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::NotInstalled { .. } | Self::Failed { .. } | Self::PortTaken { .. } => None,
        }
    }
}
