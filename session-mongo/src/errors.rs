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

/// The error for a malformed reply: it is not `what` it must be.
pub(crate) fn unexpected(operation: Operation, what: &str) -> Error {
    Error::new(ErrorKind::Internal, operation).because(format!("the server's reply is not {what}"))
}

/// What a failure means for the failed command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It was not carried out, but may succeed later.
    NotSent,
    /// It may have been carried out, in part or as a whole.
    Unclear,
    /// It was not carried out, and retrying does not help.
    Refused(ErrorKind),
}

/// The codes of a server that is not, or no longer, the primary, or that is shutting down.
const AWAY: [i32; 9] = [91, 189, 10_058, 10_107, 11_600, 11_602, 13_435, 13_436, 262];
/// Codes of temporary conditions, as named in `error_codes.yml` of the server.
const NOT_NOW: [i32; 55] = [
    // The network behind a router (`HostUnreachable` and the like), locks, killed cursors and plans,
    // timeouts, conflicts.
    6, 7, 24, 43, 46, 50, 64, 89, 107, 112, 145, 175, 202, 237, 279, 290, 314, 407, 9_001, 11_601,
    // A member that cannot serve now: no primary, no majority, a new configuration, missing cluster
    // keys, another storage engine, writes blocked by a migration.
    94, 109, 117, 133, 134, 149, 187, 203, 211, 216, 303, 355, 371, 384,
    // A router or a shard whose view of the cluster is stale, or that is migrating data.
    63, 70, 150, 215, 239, 246, 249, 250, 272, 319, 342, 343, 363, 13_388, //
    // Overload.
    264, 365, 402, 433, 449, 450, 462,
];

/// `NotWritablePrimary` and the like, which the server reports before it begins anything.
const NOT_PRIMARY: [i32; 2] = [10_107, 13_435];

/// Judges a failed command of `statements` statements.
pub(crate) fn failure(error: &DriverError, statements: usize) -> Failure {
    match &*error.kind {
        // The store itself makes `Custom` errors, for commands that were not sent.
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
        // A failed connection does not tell what happened to the command.
        DriverKind::Io(_) | DriverKind::ConnectionPoolCleared { .. } => Failure::Unclear,
        _ => Failure::Refused(ErrorKind::Internal),
    }
}

/// The kind of a permanent refusal, or `None` if the code is temporary.
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
