use redis::{Pipeline, ServerError, Value, pipe};

use crate::errors::sentence;

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Primary,
    /// A replica, whose sessions may be old; or a sentinel, which has none.
    Other,
    /// It does not say, but this.
    Unknown(String),
}

/// The question whose answer is a [`Role`].
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

/// Whether the answer to a guard (see [`pipeline`](crate::pending::pipeline)) says that the server
/// is a replica.
pub(crate) fn guard_refuses(reply: Option<&Value>) -> bool {
    matches!(reply, Some(Value::ServerError(error)) if is_of_replica(error))
}

fn is_of_replica(error: &ServerError) -> bool {
    error.code() == "ERR" && error.details().is_some_and(|said| said.contains("replica"))
}
