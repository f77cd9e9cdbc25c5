use session_core::{Error, ErrorKind, Operation};
use sqlx::mysql::MySqlDatabaseError;

use crate::server::{Meaning, refusal};

/// What an error means, by its number: <https://mariadb.com/kb/en/mariadb-error-code-reference/>.
pub(super) fn meaning(operation: Operation, error: &sqlx::Error) -> Meaning {
    let refused = |kind, reason: &str| Meaning::Refused(Error::new(kind, operation).because(reason));
    let unavailable = ErrorKind::Unavailable { may_have_applied: false };
    if let Some(refusal) = refusal(operation, error) {
        return Meaning::Refused(refusal);
    }
    let database = match error {
        sqlx::Error::Database(error) => error.try_downcast_ref::<MySqlDatabaseError>(),
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
        // The driver's text, for want of anything better to tell it by.
        sqlx::Error::Configuration(error) if error.to_string().contains("RSA") => {
            return refused(
                ErrorKind::Config,
                "the server takes the password of this user (caching_sha2_password, sha256_password) over TLS alone: set tls=verify-full, or \
                 tls=require for a server on this machine",
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
    match database.number() {
        // A deadlock; a lock that was waited for too long; a lock that is not waited for.
        1213 | 1205 | 3572 => Meaning::Again,
        1020 if database.message().contains("has changed since last read") => Meaning::Again,
        1969 | 3024 | 1317 => refused(unavailable, "the server gave up at the deadline, and changed nothing"),
        1040 | 1203 | 1226 => refused(
            unavailable,
            "the server has no connection left; raise its max_connections, or lower `connections`",
        ),
        // It ends the connection, or is a primary that has become a replica: the next connection may find the new primary.
        1053 | 1927 | 1290 | 1836 => Meaning::Lost { by_server: true },
        1153 => refused(
            ErrorKind::Config,
            "the data is longer than the server's max_allowed_packet: raise that, or lower `max_data_len`",
        ),
        1114 | 1021 => refused(ErrorKind::Full, "the server's disk or the table is full"),
        1142 | 1143 | 1044 | 1370 | 1227 => refused(
            ErrorKind::Config,
            "the database user lacks a right on the tables of the sessions; grant SELECT, INSERT, UPDATE and DELETE, and let a user who \
             may create tables run the migrations",
        ),
        1045 | 1698 => refused(ErrorKind::Config, "the server refused the login"),
        1049 => refused(ErrorKind::Config, "there is no such database"),
        1046 => refused(ErrorKind::Config, "the URL names no database, and the store has no `schema`"),
        1146 => refused(ErrorKind::Config, "the table is missing; was it dropped?"),
        1054 => refused(ErrorKind::Config, "a column is missing; was the table changed by hand?"),
        126 | 127 | 1034 | 1712 => refused(ErrorKind::Corrupt, "the server found damaged data"),
        1461 => refused(
            unavailable,
            "the server holds no more prepared statements; raise its max_prepared_stmt_count",
        ),
        number => {
            refused(ErrorKind::Internal, &format!("the server refused the statement with error {number}"))
        }
    }
}

pub(super) fn config(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, Operation::Connect).because(reason)
}

#[cfg(test)]
mod tests {
    use session_core::{ErrorKind, Operation};

    use super::meaning;
    use crate::server::Meaning;

    /// The driver's text when it is built without the exchange of passwords over plain text. `MariaDB` never asks for that.
    #[test]
    fn a_password_that_takes_tls_is_told() {
        let text = "RSA auth backend disabled; enable feature `mysql-rsa` (or `rsa` if using sqlx-mysql directly) or use TLS.";
        match meaning(Operation::Connect, &sqlx::Error::Configuration(text.into())) {
            Meaning::Refused(error) => {
                assert_eq!(error.kind(), ErrorKind::Config);
                assert!(error.to_string().contains("set tls=verify-full"), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
}
