use session_core::{Error, ErrorKind, Operation};
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use super::statements::NOT_ON_PRIMARY;
use crate::server::{Meaning, OnlyReads, refusal};

/// What an error means, by its SQLSTATE:
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
pub(super) fn meaning(operation: Operation, error: &sqlx::Error) -> Meaning {
    let refused = |kind, reason: &str| Meaning::Refused(Error::new(kind, operation).because(reason));
    let unavailable = ErrorKind::Unavailable { may_have_applied: false };
    if let Some(meaning) = OnlyReads::meaning(operation, error) {
        return meaning;
    }
    if let Some(refusal) = refusal(operation, error) {
        return Meaning::Refused(refusal);
    }
    let database = match error {
        sqlx::Error::Database(error) => error.try_downcast_ref::<PgDatabaseError>(),
        sqlx::Error::PoolTimedOut => {
            return refused(
                unavailable,
                "the pool had no free connection in time; give it more, or keep them for less long",
            );
        }
        sqlx::Error::PoolClosed => return refused(ErrorKind::Closed, "the pool was closed"),
        sqlx::Error::Tls(_) => {
            return refused(
                ErrorKind::Config,
                "the connection could not be encrypted: the server offers no TLS, or a certificate that was set cannot be used; tls=disable \
                 turns it off where the network is trusted",
            );
        }
        sqlx::Error::Configuration(_) => {
            return refused(ErrorKind::Config, "the driver did not accept the settings");
        }
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
            return Meaning::Lost { by_server: false };
        }
        _ => return refused(ErrorKind::Internal, "the driver gave an unexpected answer"),
    };
    let Some(database) = database else {
        return refused(ErrorKind::Internal, "the driver gave an unexpected error");
    };
    let fatal = matches!(database.severity(), PgSeverity::Fatal | PgSeverity::Panic);
    let connecting = operation == Operation::Connect;
    let elsewhere = |reason: &str| Meaning::Elsewhere(Error::unavailable(operation, false).because(reason));
    match database.code() {
        "40001" | "40P01" => Meaning::Again,
        // From the server or from a pooler, which words its own refusals, always in English.
        "08P01" if database.message().contains("unsupported startup parameter") => refused(
            ErrorKind::Config,
            "the pooler refuses a setting that connections start with; name those that it lists in its `ignore_startup_parameters`, such \
             as `ignore_startup_parameters = extra_float_digits`",
        ),
        "08P01"
            if ["no such database", "no such user"].iter().any(|text| database.message().contains(text)) =>
        {
            refused(ErrorKind::Config, "the pooler knows no such database or user")
        }
        "08P01" if database.message().contains("statement pooling mode") => {
            refused(ErrorKind::Config, "the pooler must be in transaction mode or session mode")
        }
        "26000" | "42P05" => refused(
            ErrorKind::Config,
            "a pooler gives each transaction another connection, which lacks the statements prepared before, or has those of others; set \
             `statement-cache-capacity=0` in the URL, or for a pool `statement_cache_capacity(0)`, so that none are kept",
        ),
        "57P03" => elsewhere("the server is starting, stopping or recovering"),
        "53300" | "53400" => refused(
            unavailable,
            "the server has no connection left; raise its max_connections, or lower `connections`",
        ),
        // A primary that has become a replica, or a replica in the primary's place: the next
        // connection may find the primary.
        "25006" | NOT_ON_PRIMARY => elsewhere(&OnlyReads.to_string()),
        // An unlogged table on a replica; or a statement whose table was altered, until it is
        // prepared again.
        "0A000" if !connecting => elsewhere("the server cannot do this now"),
        "57014" | "55P03" => refused(unavailable, "the server gave up at the deadline, and changed nothing"),
        "53200" => refused(unavailable, "the server has no memory left"),
        "53100" | "53000" => refused(ErrorKind::Full, "the server's disk is full"),
        "42501" => refused(
            ErrorKind::Config,
            "the database user lacks a right on the tables of the sessions; grant SELECT, INSERT, UPDATE and DELETE, and let a user who \
             may create tables run the migrations",
        ),
        "42P01" | "3F000" => refused(
            ErrorKind::Config,
            "the table or its schema is missing; was it dropped, or is the search_path another one?",
        ),
        "42703" => refused(ErrorKind::Config, "a column is missing; was the table changed by hand?"),
        "3D000" => refused(ErrorKind::Config, "there is no such database"),
        "28P01" | "28000" => refused(ErrorKind::Config, "the server refused the login"),
        "XX001" | "XX002" => refused(ErrorKind::Corrupt, "the server found damaged data"),
        code if fatal || code.starts_with("08") || code.starts_with("57P") || code == "40003" => {
            // While a connection is being made, nothing has been sent. A pooler that has lost the
            // server reports this in the server's place, and does not know what the server does.
            Meaning::Lost { by_server: fatal && !connecting && !code.starts_with("08") }
        }
        code => refused(ErrorKind::Internal, &format!("the server refused the statement with error {code}")),
    }
}

pub(super) fn config(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, Operation::Connect).because(reason)
}
