use session_core::{Error, ErrorKind, Operation};

/// What SQLite's primary result codes mean here: <https://sqlite.org/rescode.html>.
mod code {
    pub(super) const PERM: i32 = 3;
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const NOMEM: i32 = 7;
    pub(super) const READONLY: i32 = 8;
    pub(super) const INTERRUPT: i32 = 9;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const PROTOCOL: i32 = 15;
    pub(super) const TOOBIG: i32 = 18;
    pub(super) const AUTH: i32 = 23;
    pub(super) const NOTADB: i32 = 26;
}

/// The error of an operation whose statement failed. A failed statement changes nothing. A change
/// may have been applied only if it is unknown whether the statement failed.
pub(crate) fn failed(operation: Operation, error: sqlx::Error) -> Error {
    let (kind, reason) = meaning(operation, &error);
    Error::new(kind, operation).because(reason).with_source(error)
}

/// The primary code of SQLite, if the error is SQLite's.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let extended: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}

/// Returns true if the connection is unusable.
pub(crate) fn is_fatal(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::WorkerCrashed)
}

/// Returns true if a value was longer than SQLite accepts.
pub(crate) fn is_too_long(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<sqlx::Error>());
    source.and_then(primary_code) == Some(code::TOOBIG)
}

fn meaning(operation: Operation, error: &sqlx::Error) -> (ErrorKind, &'static str) {
    let changes = operation.is_change();
    let unavailable = |may_have_applied| ErrorKind::Unavailable { may_have_applied };
    let Some(code) = primary_code(error) else {
        return match error {
            sqlx::Error::PoolTimedOut => (unavailable(false), "the pool had no free connection in time"),
            sqlx::Error::PoolClosed => (ErrorKind::Closed, "the pool was closed"),
            sqlx::Error::WorkerCrashed => (unavailable(changes), "the connection's thread has ended"),
            sqlx::Error::Io(_) => (unavailable(changes), "the operating system reported an error"),
            _ => (ErrorKind::Internal, "the driver gave an unexpected answer"),
        };
    };
    let connecting = operation == Operation::Connect;
    match code {
        code::BUSY | code::LOCKED | code::PROTOCOL => {
            (unavailable(false), "another connection kept the database locked")
        }
        code::NOMEM => (unavailable(false), "there is no memory left"),
        code::INTERRUPT => (unavailable(false), "the statement was interrupted"),
        code::IOERR => (unavailable(changes), "the operating system reported an error"),
        code::FULL => (ErrorKind::Full, "the disk is full, or the database has reached its greatest size"),
        code::CORRUPT => (ErrorKind::Corrupt, "the database file is damaged; restore it from a backup"),
        code::NOTADB => (ErrorKind::Corrupt, "the file is not an SQLite database, or is encrypted"),
        code::READONLY => (
            ErrorKind::Config,
            "the database cannot be written to: check the permissions of the file and of its directory",
        ),
        code::PERM | code::AUTH => (ErrorKind::Config, "access to the database was denied"),
        code::CANTOPEN if connecting => (
            ErrorKind::Config,
            "the database file cannot be opened or created: check the path and the permissions of its directory",
        ),
        code::CANTOPEN => (unavailable(false), "the database file cannot be opened"),
        code::TOOBIG => {
            (ErrorKind::Config, "the data is longer than this SQLite accepts: lower `max_data_len`")
        }
        _ => (ErrorKind::Internal, "SQLite refused the statement"),
    }
}

/// The error for a row under a session's key that cannot be read.
pub(crate) fn corrupt(operation: Operation, reason: &str) -> Error {
    Error::new(ErrorKind::Corrupt, operation).because(reason)
}

pub(crate) fn closed(operation: Operation) -> Error {
    Error::new(ErrorKind::Closed, operation)
}

pub(crate) fn config(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, Operation::Connect).because(reason)
}
