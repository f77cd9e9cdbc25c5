//! Why a server could not be launched.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;

/// Why there is no running server.
///
/// The text is meant to be shown as it is: it names the program and what to do about it.
#[derive(Debug)]
#[non_exhaustive]
pub enum LaunchError {
    /// The program is not on this machine. A test harness may take this as the reason to ignore a case.
    NotInstalled {
        /// What was looked for.
        program: String,
        /// A command that installs it, e.g. `apt-get install redis-server`.
        install: String,
    },
    /// The program ran and did not become a working server.
    Failed {
        /// What was run.
        program: String,
        /// What was seen from outside, e.g. its exit status.
        reason: String,
        /// The end of what it printed.
        log: String,
    },
    /// Somebody else listens on the server's port. A first start has tried several ports by then; a restart
    /// has no choice.
    PortTaken {
        /// What was run.
        program: String,
        /// Where it should have listened.
        addr: SocketAddr,
    },
    /// The machine did not let us try.
    Io {
        /// What was attempted, e.g. `create a temporary directory`.
        attempt: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
}

impl LaunchError {
    /// Whether the program is simply missing, as opposed to broken.
    #[must_use]
    pub fn is_not_installed(&self) -> bool {
        matches!(self, Self::NotInstalled { .. })
    }

    /// For `map_err`: the failure of one attempt.
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
