use redis::Value;
use session_core::{Error, ErrorKind, Operation, Result};

use crate::{
    address::Address,
    errors::{config, sentence},
};

/// Checks what a server reports of itself, as far as it does. An unusable server is an error; one
/// that might evict sessions is a warning.
pub(crate) fn check(address: &Address, replies: &[Value], in_cluster: bool) -> Result<()> {
    let info: String = replies.iter().filter_map(text).collect::<Vec<_>>().join("\n");
    let field =
        |name: &str| info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'));
    if let Some(Value::ServerError(error)) = replies.first()
        && error.code() == "NOAUTH"
    {
        return Err(config(format!("{address} asks for a password: {}", sentence(error))));
    }
    if let Some(version) = field("redis_version") {
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        if major.is_some_and(|major| major < 7) {
            let reason = format!("{address} is Redis {version}, and 7.0 is the oldest that can be used");
            return Err(Error::new(ErrorKind::Unsupported, Operation::Connect).because(reason));
        }
    }
    match field("cluster_enabled") {
        Some("1") if !in_cluster => {
            return Err(config(format!("{address} is a node of a cluster; use redis+cluster://")));
        }
        Some("0") if in_cluster => {
            return Err(config(format!("{address} is not a node of a cluster; use redis://")));
        }
        _ => {}
    }
    if let (Some(limit), Some(policy)) = (field("maxmemory"), field("maxmemory_policy"))
        && limit != "0"
        && policy != "noeviction"
    {
        tracing::warn!(
            server = %address,
            maxmemory_policy = policy,
            "the server may evict live sessions when its memory is full, and with them whoever is logged in; \
             to have it refuse new ones instead: CONFIG SET maxmemory-policy noeviction"
        );
    }
    Ok(())
}

fn text(reply: &Value) -> Option<String> {
    match reply {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::VerbatimString { text, .. } => Some(text.clone()),
        _ => None,
    }
}
