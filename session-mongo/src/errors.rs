use mongodb::error::{Error as DriverError, ErrorKind as DriverKind};
use session_core::{Error, ErrorKind, Operation};

pub(crate) fn config(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, Operation::Connect).because(reason)
}

pub(crate) fn closed(operation: Operation) -> Error {
    Error::new(ErrorKind::Closed, operation)
}

pub(crate) fn late(operation: Operation, may_have_applied: bool) -> Error {
    Error::unavailable(operation, may_have_applied).because("there was no answer within the deadline")
}

/// A reply that does not have the form it must have.
pub(crate) fn unexpected(operation: Operation, what: &str) -> Error {
    Error::new(ErrorKind::Internal, operation).because(format!("the server's reply is not {what}"))
}

/// What a failure means for the command that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It was not carried out, and may be later.
    NotSent,
    /// It may have been carried out, in part or as a whole.
    Unclear,
    /// It was not carried out, and never will be.
    Refused(ErrorKind),
}

/// The codes that a server gives when it is not the primary (any more), or shuts down.
const AWAY: [i32; 9] = [91, 189, 10_058, 10_107, 11_600, 11_602, 13_435, 13_436, 262];
/// The codes of what may be otherwise a moment later, as `error_codes.yml` of the server names them.
const NOT_NOW: [i32; 55] = [
    // The network behind a router (`HostUnreachable` and the like), locks, killed cursors and plans,
    // times that ran out, conflicts.
    6, 7, 24, 43, 46, 50, 64, 89, 107, 112, 145, 175, 202, 237, 279, 290, 314, 407, 9_001, 11_601,
    // A member that does not serve yet or just now: no primary, no majority, a new configuration,
    // keys of the cluster that have not arrived, another storage, writes blocked for a migration.
    94, 109, 117, 133, 134, 149, 187, 203, 211, 216, 303, 355, 371, 384,
    // A router or a shard whose view of the cluster is old, or that moves data.
    63, 70, 150, 215, 239, 246, 249, 250, 272, 319, 342, 343, 363, 13_388, //
    // Overload.
    264, 365, 402, 433, 449, 450, 462,
];

/// `NotWritablePrimary`, which is said before anything is begun.
const NOT_PRIMARY: [i32; 2] = [10_107, 13_435];

/// Judges a failed command of so many statements.
pub(crate) fn failure(error: &DriverError, statements: usize) -> Failure {
    match &*error.kind {
        // `Custom` is our own, for what was not sent.
        DriverKind::ServerSelection { .. } | DriverKind::DnsResolve { .. } | DriverKind::Custom(_) => {
            Failure::NotSent
        }
        DriverKind::Authentication { .. }
        | DriverKind::InvalidTlsConfig { .. }
        | DriverKind::InvalidArgument { .. } => Failure::Refused(ErrorKind::Config),
        DriverKind::IncompatibleServer { .. } => Failure::Refused(ErrorKind::Unsupported),
        DriverKind::Shutdown => Failure::Refused(ErrorKind::Closed),
        DriverKind::Command(refusal) => match refusal.code {
            code if statements <= 1 && NOT_PRIMARY.contains(&code) => Failure::NotSent,
            code => match refusal_kind(code) {
                Some(kind) => Failure::Refused(kind),
                None => Failure::Unclear,
            },
        },
        // What happened to the connection does not tell what happened to the command.
        DriverKind::Io(_) | DriverKind::ConnectionPoolCleared { .. } => Failure::Unclear,
        _ => Failure::Refused(ErrorKind::Internal),
    }
}

/// What the code of a refusal says for good, or `None` if it says nothing about later.
pub(crate) fn refusal_kind(code: i32) -> Option<ErrorKind> {
    match code {
        // Unauthorized, AuthenticationFailed, and an unknown write concern.
        8_000 | 13 | 18 | 79 | 100 => Some(ErrorKind::Config),
        // OutOfDiskSpace, and the quota of a hosted database.
        14_031 | 8_001 => Some(ErrorKind::Full),
        code if AWAY.contains(&code) || NOT_NOW.contains(&code) => None,
        _ => Some(ErrorKind::Internal),
    }
}

/// The error for a failed command.
pub(crate) fn failed(operation: Operation, failure: Failure, change: bool, error: DriverError) -> Error {
    match failure {
        Failure::NotSent => Error::unavailable(operation, false).because("no server can take it now"),
        Failure::Unclear => {
            Error::unavailable(operation, change).because("the connection or the server failed meanwhile")
        }
        Failure::Refused(ErrorKind::Config) => Error::new(ErrorKind::Config, operation)
            .because(format!("the server or the driver refuses: {}", error.kind)),
        Failure::Refused(kind) => {
            Error::new(kind, operation).because(format!("the server or the driver refuses: {}", error.kind))
        }
    }
    .with_source(error)
}
