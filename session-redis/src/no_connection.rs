use std::{error::Error as StdError, fmt, io};

use redis::{RedisError, ServerError};
use session_core::{Error, ErrorKind, Operation};

use crate::errors::{config, sentence};

/// Why there is no connection to a server. Its `Display` follows the server's name and a colon.
#[derive(Debug)]
pub(crate) enum NoConnection {
    /// The server could not be reached.
    Unreachable(io::Error),
    /// The server was reached, but the TLS handshake failed.
    Tls(io::Error),
    /// There was no answer in time.
    TimedOut,
    /// The server closed the connection without an answer.
    Closed,
    /// The reply is not one of Redis.
    NotRedis,
    /// The server's error: its code and its whole message.
    Refused { code: String, said: String },
    /// The server is a replica, or something else that must not be read from.
    NotPrimary,
    /// The provider has no credentials.
    Credentials(Error),
    /// The driver has failed.
    Driver(RedisError),
}

impl NoConnection {
    /// A refusal, with `secret` removed from the message.
    pub(crate) fn refused(error: &ServerError, secret: Option<&str>) -> Self {
        let said = sentence(error);
        let said = match secret {
            Some(secret) if !secret.is_empty() => said.replace(secret, "(secret)"),
            _ => said,
        };
        Self::Refused { code: error.code().to_owned(), said }
    }

    /// The error for a store that needs this server to open.
    pub(crate) fn opening(self, place: &str, tls: bool) -> Error {
        let (hint, reason) = (self.hint(tls), format!("{place}: {self}"));
        let error = match &self {
            Self::Credentials(error) => return error.clone(),
            error if error.is_lasting() => config(reason + hint),
            Self::Refused { said, .. } if said.contains("unknown command") => {
                let reason = format!("{reason}; Redis 7.0 is the oldest that can be used");
                return Error::new(ErrorKind::Unsupported, Operation::Connect).because(reason);
            }
            _ => Error::unavailable(Operation::Connect, false).because(reason + hint),
        };
        error.with_source(self)
    }

    /// Whether the cause lasts until an operator changes something.
    pub(crate) fn is_lasting(&self) -> bool {
        match self {
            Self::NotRedis => true,
            Self::Tls(error) => !is_network(error),
            Self::Refused { code, said } => is_lasting(code, said),
            _ => false,
        }
    }

    /// Advice for the error message, where the cause may be TLS.
    fn hint(&self, tls: bool) -> &'static str {
        match self {
            Self::Closed | Self::NotRedis if !tls => "; if it expects TLS, use rediss://",
            Self::Tls(error) if is_network(error) => "; if it does not use TLS, use redis://",
            Self::Tls(error) if error.to_string().to_ascii_lowercase().contains("certificate") => {
                "; if its certificate is not signed by a well-known authority, set `tls_roots`, and if it asks for one of the client, \
                 `tls_client`"
            }
            Self::Tls(_) => "; if it does not use TLS, use redis://",
            _ => "",
        }
    }
}

/// Whether the cause may be temporary.
fn is_network(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | TimedOut | UnexpectedEof)
}

fn is_lasting(code: &str, said: &str) -> bool {
    ["WRONGPASS", "NOAUTH", "NOPERM", "DENIED", "NOPROTO"].contains(&code)
        || ["DB index", "SELECT is not allowed", "Client names cannot"]
            .iter()
            .any(|words| said.contains(words))
}

impl fmt::Display for NoConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "no connection: {error}"),
            Self::Tls(error) => write!(f, "no TLS connection: {error}"),
            Self::TimedOut => f.write_str("there is no answer"),
            Self::Closed => f.write_str("it closes the connection without an answer"),
            Self::NotRedis => f.write_str("it does not speak the protocol of Redis"),
            Self::Refused { code, said } => match code.as_str() {
                "WRONGPASS" => write!(f, "it refuses the user or the password: {said}"),
                "NOAUTH" => write!(f, "it asks for a password: {said}"),
                _ if said.contains("DB index") => {
                    write!(
                        f,
                        "it has no database of this number, and `databases` sets how many there are: {said}"
                    )
                }
                _ if said.contains("SELECT is not allowed") => {
                    write!(f, "it is a cluster, which has database 0 alone: {said}")
                }
                _ => write!(f, "it refuses the connection: {said}"),
            },
            Self::NotPrimary => f.write_str("it is not a primary, and sessions are read from no other"),
            Self::Credentials(error) => write!(f, "there are no credentials: {error}"),
            Self::Driver(error) => write!(f, "the connection broke: {error}"),
        }
    }
}

impl StdError for NoConnection {}

impl From<RedisError> for NoConnection {
    fn from(error: RedisError) -> Self {
        Self::Driver(error)
    }
}
