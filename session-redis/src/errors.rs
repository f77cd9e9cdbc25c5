use redis::ServerError;
use session_core::{Error, ErrorKind, Operation};

pub(crate) fn config(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, Operation::Connect).because(reason)
}

pub(crate) fn closed(operation: Operation) -> Error {
    Error::new(ErrorKind::Closed, operation)
}

/// The error for a malformed reply: it is not `what` it must be.
pub(crate) fn unexpected(operation: Operation, what: &str) -> Error {
    Error::new(ErrorKind::Internal, operation).because(format!("the server's reply is not {what}"))
}

/// The server's error message, without the arguments that some servers repeat, because those can
/// hold passwords and session data.
pub(crate) fn sentence(error: &ServerError) -> String {
    let details = error.details().unwrap_or_default();
    let said = ["with args beginning with", "command arguments"]
        .iter()
        .fold(details, |said, words| said.split(words).next().unwrap_or_default());
    format!("{} {}", error.code(), said.trim_end_matches([' ', ',']))
}

/// What a server's error means for its request. None of these requests was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The server has not loaded the script.
    NoScript,
    /// The slot now belongs to this node.
    Moved(String),
    /// The slot is being migrated, and the key has already moved to this node.
    Ask(String),
    /// Temporary: some of the keys are on another node, the node is starting, or the cluster is
    /// electing a primary.
    Later,
    /// The connection is of no more use: the node is no longer a primary, accepts no more clients,
    /// or asks for a login.
    Elsewhere,
    /// The request must name the index of this owner, or of no owner if it is empty.
    Name(Vec<u8>),
    /// Retrying does not help.
    Final,
}

/// Error codes of a node that cannot serve now, and that will serve again or be replaced. Servers
/// before 7.0 put text of their own before the code of the error that stopped a script.
const LATER: [&str; 11] = [
    "TRYAGAIN",
    "CLUSTERDOWN",
    "LOADING",
    "BUSY",
    "UNKILLABLE",
    "NOREPLICAS",
    "FENCED",
    "NOQUORUM",
    "NOGOODSLAVE",
    "IOERR",
    "UNBLOCKED",
];

/// Error codes after which all links to the node are given up.
const ELSEWHERE: [&str; 6] = ["READONLY", "MASTERDOWN", "NOMASTERLINK", "REDIRECT", "NOAUTH", "DENIED"];

pub(crate) fn refusal(error: &ServerError) -> Refusal {
    let details = error.details().unwrap_or_default();
    let target = || details.split_whitespace().nth(1).unwrap_or_default().to_owned();
    match error.code() {
        "NOSCRIPT" => Refusal::NoScript,
        "MOVED" => Refusal::Moved(target()),
        "ASK" => Refusal::Ask(target()),
        "NEEDINDEX" => Refusal::Name(details.as_bytes().to_vec()),
        code if LATER.contains(&code) => Refusal::Later,
        code if ELSEWHERE.contains(&code) => Refusal::Elsewhere,
        "ERR" | "EXECABORT" if names(details, &ELSEWHERE) => Refusal::Elsewhere,
        "ERR" | "EXECABORT" if names(details, &LATER) => Refusal::Later,
        "ERR" if details.contains("max number of clients") => Refusal::Elsewhere,
        // The proxies Envoy and twemproxy say this about the server behind them.
        _ if is_of_proxy(error) => Refusal::Later,
        // A script gets this in a migrating slot when it accesses a key that is not on this node.
        _ if details.contains("non local key") => Refusal::Later,
        _ => Refusal::Final,
    }
}

/// Whether one of these codes is among the words of `details`.
fn names(details: &str, codes: &[&str]) -> bool {
    let word = |text: &str| text.trim_matches(|letter: char| !letter.is_ascii_alphanumeric()).to_owned();
    details.split_whitespace().any(|text| codes.contains(&word(text).as_str()))
}

fn is_of_proxy(error: &ServerError) -> bool {
    let said = sentence(error).to_ascii_lowercase();
    [
        "no upstream host",
        "upstream failure",
        "upstream protocol error",
        "connection refused",
        "connection timed out",
    ]
    .iter()
    .any(|words| said.contains(words))
}

/// The error for a request that the server refused and did not carry out.
pub(crate) fn refused(operation: Operation, error: &ServerError) -> Error {
    let said = sentence(error);
    let details = error.details().unwrap_or_default();
    match error.code() {
        "OOM" => full(operation),
        "ERR" | "EXECABORT" if names(details, &["OOM"]) => full(operation),
        "NOPERM" | "WRONGPASS" => Error::new(ErrorKind::Config, operation).because(format!(
            "the user lacks a permission, which an ACL such as `~<namespace>:* &* +@all` gives: {said}"
        )),
        "WRONGTYPE" => Error::new(ErrorKind::Corrupt, operation).because("there is a value of another type"),
        // It lasts until an operator frees disk space, so waiting would only delay other requests.
        "MISCONF" => Error::unavailable(operation, false).because(format!("the server refuses: {said}")),
        "ERR" | "EXECABORT" if names(details, &["MISCONF"]) => {
            Error::unavailable(operation, false).because(format!("the server refuses: {said}"))
        }
        _ if details.contains("non local key") => {
            Error::unavailable(operation, false).because("the slot of this session is being moved")
        }
        _ if refusal(error) != Refusal::Final => {
            Error::unavailable(operation, false).because(format!("the server refuses: {said}"))
        }
        _ => Error::new(ErrorKind::Internal, operation).because(format!("the server refuses: {said}")),
    }
}

fn full(operation: Operation) -> Error {
    Error::new(ErrorKind::Full, operation)
        .because("the server has reached its `maxmemory`; raise it, or give it less to keep")
}

#[cfg(test)]
mod tests {
    use redis::{ServerError, Value, parse_redis_value};
    use session_core::{ErrorKind, Operation};

    use super::{Refusal, refusal, refused};

    fn said(sentence: &str) -> ServerError {
        match parse_redis_value(format!("-{sentence}\r\n").as_bytes()) {
            Ok(Value::ServerError(error)) => error,
            other => panic!("{sentence} is {other:?}"),
        }
    }

    /// A node that cannot serve now counts as an outage in which nothing was changed.
    #[test]
    fn a_node_that_cannot_serve_now_is_unavailable() {
        for (sentence, means) in [
            ("LOADING Redis is loading the dataset in memory", Refusal::Later),
            ("BUSY Redis is busy running a script.", Refusal::Later),
            ("UNKILLABLE Sorry the script already executed write commands", Refusal::Later),
            ("TRYAGAIN Multiple keys request during rehashing of slot", Refusal::Later),
            ("CLUSTERDOWN The cluster is down", Refusal::Later),
            ("NOREPLICAS Not enough good replicas to write.", Refusal::Later),
            ("MISCONF Redis is configured to save RDB snapshots, but ..", Refusal::Final),
            ("ERR Error running script: @user_script:3: -MISCONF Errors writing", Refusal::Final),
            ("UNBLOCKED force unblock from blocking operation", Refusal::Later),
            ("ERR Error running script: @user_script:3: -NOREPLICAS Not enough", Refusal::Later),
            ("MASTERDOWN Link with MASTER is down", Refusal::Elsewhere),
            ("READONLY You can't write against a read only replica.", Refusal::Elsewhere),
            ("ERR Error running script (call to f_1): @user_script:1: -READONLY You", Refusal::Elsewhere),
            ("NOAUTH Authentication required.", Refusal::Elsewhere),
            ("DENIED Redis is running in protected mode", Refusal::Elsewhere),
            ("REDIRECT 10.0.0.1:6379", Refusal::Elsewhere),
            ("ERR max number of clients reached", Refusal::Elsewhere),
            ("ERR max number of clients + cluster connections reached", Refusal::Elsewhere),
            ("no upstream host", Refusal::Later),
            ("ERR Connection refused", Refusal::Later),
        ] {
            assert_eq!(refusal(&said(sentence)), means, "{sentence}");
            let error = refused(Operation::Write, &said(sentence));
            assert_eq!(error.kind(), ErrorKind::Unavailable { may_have_applied: false }, "{sentence}");
        }
    }

    #[test]
    fn what_waiting_does_not_help_has_its_own_kind() {
        for (sentence, kind) in [
            ("OOM command not allowed when used memory > 'maxmemory'.", ErrorKind::Full),
            ("ERR Error running script: @user_script:9: -OOM command not allowed", ErrorKind::Full),
            ("NOPERM this user has no permissions", ErrorKind::Config),
            ("WRONGTYPE Operation against a key", ErrorKind::Corrupt),
            ("ERR syntax error", ErrorKind::Internal),
        ] {
            assert_eq!(refusal(&said(sentence)), Refusal::Final, "{sentence}");
            assert_eq!(refused(Operation::Write, &said(sentence)).kind(), kind, "{sentence}");
        }
    }

    #[test]
    fn arguments_that_a_server_repeats_are_left_out() {
        let error = said("ERR unknown command 'EVALSHA', with args beginning with: 'abc' 'hunter2' ");
        let error = format!("{:?}", refused(Operation::Write, &error));
        assert!(error.contains("unknown command") && !error.contains("hunter2"), "{error}");
    }
}
