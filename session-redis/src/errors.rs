use redis::{RedisError, ServerError};
use session_core::{Error, ErrorKind, Operation};

pub(crate) fn config(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, Operation::Connect).because(reason)
}

pub(crate) fn closed(operation: Operation) -> Error {
    Error::new(ErrorKind::Closed, operation)
}

/// A reply that does not have the form it must have.
pub(crate) fn unexpected(operation: Operation, what: &str) -> Error {
    Error::new(ErrorKind::Internal, operation).because(format!("the server's reply is not {what}"))
}

/// What the server's error means for the request that it answers. None of these was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The script is not loaded.
    NoScript,
    /// The slot belongs to this node now.
    Moved(String),
    /// The key is at this node already, while its slot moves.
    Ask(String),
    /// Half of the keys are elsewhere, or the node starts, or the cluster elects: soon.
    Later,
    /// The node is no longer a primary.
    Demoted,
    /// The indexes of this owner, or of nobody, must be named, because the slot moves.
    Name(Vec<u8>),
    /// Waiting does not help.
    Final,
}

pub(crate) fn refusal(error: &ServerError) -> Refusal {
    let target = || {
        let details = error.details().unwrap_or_default();
        details.split_whitespace().nth(1).unwrap_or_default().to_owned()
    };
    match error.code() {
        "NOSCRIPT" => Refusal::NoScript,
        "MOVED" => Refusal::Moved(target()),
        "ASK" => Refusal::Ask(target()),
        "TRYAGAIN" | "CLUSTERDOWN" | "LOADING" | "MASTERDOWN" | "BUSY" | "NOREPLICAS" | "FENCED" => {
            Refusal::Later
        }
        "READONLY" => Refusal::Demoted,
        "NEEDINDEX" => Refusal::Name(error.details().unwrap_or_default().as_bytes().to_vec()),
        // What a script is told in a slot that moves, when it asks for a key that is not here.
        _ if error.details().is_some_and(|details| details.contains("non local key")) => Refusal::Later,
        _ => Refusal::Final,
    }
}

/// The error for a request that the server refused and that was not carried out.
pub(crate) fn refused(operation: Operation, error: &ServerError) -> Error {
    let said = RedisError::from(error.clone());
    let text = error.details().unwrap_or_default();
    match error.code() {
        "OOM" => Error::new(ErrorKind::Full, operation)
            .because("the server has reached its `maxmemory`; raise it, or give it less to keep"),
        "NOPERM" | "NOAUTH" | "WRONGPASS" => Error::new(ErrorKind::Config, operation).because(format!(
            "the user lacks a permission, which an ACL such as `~<namespace>:* &* +@all` gives: {text}"
        )),
        "WRONGTYPE" => Error::new(ErrorKind::Corrupt, operation).because("there is a value of another type"),
        "MISCONF" | "TRYAGAIN" | "CLUSTERDOWN" | "LOADING" | "MASTERDOWN" | "BUSY" | "NOREPLICAS"
        | "READONLY" | "MOVED" | "ASK" | "NOSCRIPT" | "NEEDINDEX" | "FENCED" => {
            Error::unavailable(operation, false)
                .because(format!("the server refuses: {} {text}", error.code()))
        }
        _ if text.contains("non local key") => {
            Error::unavailable(operation, false).because("the slot of this session is being moved")
        }
        code => Error::new(ErrorKind::Internal, operation).because(format!("the server refuses: {code}")),
    }
    .with_source(said)
}

/// The error for a connection that cannot be made, when the store is opened.
pub(crate) fn unreachable(place: &str, tls: bool, error: RedisError) -> Error {
    use redis::ErrorKind as Redis;
    let text = error.to_string();
    let config_error = |reason: String| config(reason).with_source(error.clone());
    match error.kind() {
        Redis::AuthenticationFailed => config_error(format!("{place} refuses the user or the password")),
        Redis::InvalidClientConfig => {
            config_error(format!("the settings for {place} cannot be used: {text}"))
        }
        Redis::Parse => config_error(format!(
            "{place} does not speak the protocol of Redis; if it expects TLS, use rediss://"
        )),
        _ if text.contains("DB index") => config_error(format!(
            "{place} has no database of this number; Redis has 0 to 15 unless `databases` is set"
        )),
        _ if text.contains("SELECT is not allowed in cluster mode") => {
            config_error(format!("{place} is a cluster, which has database 0 alone"))
        }
        _ if text.contains("NOAUTH") || text.contains("WRONGPASS") || text.contains("NOPERM") => {
            config_error(format!("{place} refuses the user or the password"))
        }
        _ if is_tls(&error) => config_error(format!(
            "no TLS connection to {place}; if the server does not use TLS, use redis://, and if its certificate is not signed \
             by a well-known authority, set `tls_roots`: {text}"
        )),
        // What such a server does is what a broken one does, too.
        _ if tls && error.is_timeout() => Error::unavailable(Operation::Connect, false)
            .because(format!("{place} does not answer; if it does not use TLS, use redis://"))
            .with_source(error),
        _ if !tls && error.is_connection_dropped() => Error::unavailable(Operation::Connect, false)
            .because(format!("{place} closes the connection; if it expects TLS, use rediss://"))
            .with_source(error),
        _ => Error::unavailable(Operation::Connect, false)
            .because(format!("no connection to {place}"))
            .with_source(error),
    }
}

fn is_tls(error: &RedisError) -> bool {
    let text = error.to_string();
    ["certificate", "InvalidContentType", "corrupt message", "TLS", "fatal alert", "invalid peer"]
        .iter()
        .any(|word| text.contains(word))
}
