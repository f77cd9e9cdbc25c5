use redis::{Pipeline, ServerError, Value, pipe};

use crate::errors::sentence;

/// The role that a server reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Primary,
    /// A replica, whose sessions may be stale, or a sentinel, which has none.
    Other,
    /// The server does not report its role, but this.
    Unknown(String),
}

/// The command whose reply is a [`Role`].
pub(crate) fn ask_role() -> Pipeline {
    let mut question = pipe();
    question.cmd("ROLE");
    question
}

pub(crate) fn role(reply: Option<&Value>) -> Role {
    match reply {
        Some(Value::Array(parts)) => match parts.first() {
            Some(Value::BulkString(role)) if role == b"master" => Role::Primary,
            _ => Role::Other,
        },
        Some(Value::ServerError(error)) => Role::Unknown(sentence(error)),
        _ => Role::Unknown("nothing".to_owned()),
    }
}

/// Whether the reply to a guard (see [`pipeline`](crate::pending::pipeline)) shows that the server
/// is a replica.
pub(crate) fn guard_refuses(reply: Option<&Value>) -> bool {
    matches!(reply, Some(Value::ServerError(error)) if is_of_replica(error))
}

fn is_of_replica(error: &ServerError) -> bool {
    error.code() == "ERR" && error.details().is_some_and(|said| said.contains("replica"))
}
