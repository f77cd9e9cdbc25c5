use session_core::{Error, ErrorKind, Operation};
use sqlx::mysql::MySqlDatabaseError;

use crate::server::{Meaning, OnlyReads, refusal};

/// What an error means, by its number: <https://mariadb.com/kb/en/mariadb-error-code-reference/>.
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
        // Only the driver's text tells this error from others.
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
    let elsewhere = |reason: &str| Meaning::Elsewhere(Error::unavailable(operation, false).because(reason));
    match database.number() {
        // A deadlock; a lock wait timeout; a lock that is not waited for; a transaction that lost
        // against one on another node of a group.
        1213 | 1205 | 3572 | 3101 => Meaning::Again,
        // WSREP has not yet prepared node for application use.
        1047 => elsewhere(
            "this node of the cluster does not serve: it has lost the others, or is still catching up, or was told to refuse queries",
        ),
        // The option --read-only; the server is in read-only mode; the transaction is read-only by
        // default.
        1290 | 1836 | 1792 => elsewhere(&OnlyReads.to_string()),
        3032 => elsewhere("the server is in offline mode"),
        1020 if database.message().contains("has changed since last read") => Meaning::Again,
        1969 | 3024 | 1317 => refused(unavailable, "the server gave up at the deadline, and changed nothing"),
        1040 | 1203 | 1226 => refused(
            unavailable,
            "the server has no connection left; raise its max_connections, or lower `connections`",
        ),
        1129 => refused(
            unavailable,
            "the server has blocked this machine after many failed connections; `FLUSH HOSTS` there, and look for the cause",
        ),
        1130 => refused(ErrorKind::Config, "the server lets no user of this machine in"),
        // The server ends the connection: it shuts down, or the connection was killed, was idle for
        // too long, or broke.
        1053 | 1077 | 1079 | 1152 | 1184 | 1927 | 3169 | 4031 => Meaning::Lost { by_server: true },
        // The outcome of a commit is unknown, or the other members of the group did not accept it;
        // or a network error between the client and the server, or between a proxy and the server.
        1158..=1161 | 1180 | 2002 | 2003 | 2006 | 2013 | 3100 | 3168 | 9001 => {
            Meaning::Lost { by_server: false }
        }
        1037 | 1038 | 1041 | 1135 | 1206 | 1637 => {
            refused(unavailable, "the server is out of memory, of threads, or of room for locks")
        }
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

    /// The driver's text when it is built without the password exchange over plain text. `MariaDB`
    /// never asks for that exchange.
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
