use std::{path::PathBuf, time::Duration};

use session_core::Result;

use super::{
    builder::SqliteStoreBuilder,
    errors::config,
    settings::{Place, Synchronous},
};
use crate::query::{decoded, number};

/// What may stand behind the `?`.
const OPTIONS: &str =
    "mode, table, synchronous, readers, deadline_ms, max_data_len, mmap_size, purge_interval_ms, batching";

/// Reads a URL, whose options overrule those of the builder.
pub(crate) fn parse(url: &str, mut builder: SqliteStoreBuilder) -> Result<(Place, SqliteStoreBuilder)> {
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err(config("this is not a URL; one looks like `sqlite:app.db`"));
    };
    if scheme != "sqlite" {
        // The rest may hold a password.
        let scheme: String = scheme.chars().take(32).collect();
        return Err(config(format!("the scheme {scheme:?} is not known here; `sqlite:` is")));
    }
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = decoded(path)?;
    let mut memory = path == ":memory:";
    let mut create = true;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = &*decoded(value)?;
        let refused =
            |accepted: &str| Err(config(format!("the option {name}={value} is not known; {accepted} is")));
        match name {
            "mode" => match value {
                "rwc" => create = true,
                "rw" => create = false,
                "memory" => memory = true,
                _ => return refused("mode=rwc, mode=rw or mode=memory"),
            },
            "table" => builder = builder.table(value),
            "synchronous" => match &*value.to_ascii_lowercase() {
                "normal" => builder = builder.synchronous(Synchronous::Normal),
                "full" => builder = builder.synchronous(Synchronous::Full),
                "off" => builder = builder.synchronous(Synchronous::Off),
                _ => return refused("synchronous=normal, synchronous=full or synchronous=off"),
            },
            "readers" => builder = builder.readers(number(name, value)?),
            "deadline_ms" => builder = builder.deadline(Duration::from_millis(number(name, value)?)),
            "max_data_len" => builder = builder.max_data_len(number(name, value)?),
            "mmap_size" => builder = builder.mmap_size(number(name, value)?),
            "purge_interval_ms" => {
                builder = builder.purge_interval(Some(Duration::from_millis(number(name, value)?)));
            }
            "batching" => match value {
                "on" => {}
                "off" => builder = builder.batching(None),
                _ => return refused("batching=on or batching=off"),
            },
            _ => return Err(config(format!("the option {name:?} is not known; these are: {OPTIONS}"))),
        }
    }
    if memory {
        return Ok((Place::Memory, builder));
    }
    if path.is_empty() {
        return Err(config("the URL names no file; `sqlite::memory:` keeps the sessions in memory"));
    }
    Ok((Place::File { path: PathBuf::from(path), create }, builder))
}
