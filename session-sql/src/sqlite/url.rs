use std::path::PathBuf;

use session_backend::{ServerUrl, UrlOption};
use session_core::Result;

use super::{
    builder::SqliteStoreBuilder,
    errors::config,
    settings::{Place, Synchronous},
};

const EXAMPLE: &str = "sqlite:app.db";

/// The options of a URL, except those that are ignored.
const OPTIONS: &str =
    "mode, table, synchronous, readers, deadline_ms, max_data_len, mmap_size, purge_interval_ms, batching";

/// Options of other SQLite clients that have no meaning for this store.
const IGNORED: [&str; 6] =
    ["busy_timeout", "connect_timeout", "connection_limit", "foreign_keys", "pool_timeout", "socket_timeout"];

/// How the path is opened.
#[derive(Clone, Copy)]
enum Mode {
    Create,
    Open,
    Memory,
}

/// Parses a URL. Its options override those of the builder.
pub(crate) fn parse(url: &str, builder: &mut SqliteStoreBuilder) -> Result<Place> {
    let url = ServerUrl::parse_path(url, EXAMPLE)?;
    if url.scheme != "sqlite" {
        let scheme = url.scheme;
        return Err(config(format!("the scheme {scheme:?} is not known here; `sqlite:` is")));
    }
    let mut mode = if url.path == ":memory:" { Mode::Memory } else { Mode::Create };
    for option in &url.options {
        match option.name() {
            "mode" => {
                let named =
                    option.one_of(&[("rwc", Mode::Create), ("rw", Mode::Open), ("memory", Mode::Memory)])?;
                mode = if matches!(mode, Mode::Memory) { mode } else { named };
            }
            name if IGNORED.contains(&name) => option.ignore(),
            _ => set(option, builder)?,
        }
    }
    let create = match mode {
        Mode::Memory => return Ok(Place::Memory),
        Mode::Create => true,
        Mode::Open => false,
    };
    if url.path.is_empty() {
        return Err(config("the URL names no file; `sqlite::memory:` keeps the sessions in memory"));
    }
    Ok(Place::File { path: PathBuf::from(url.path), create })
}

fn set(option: &UrlOption, builder: &mut SqliteStoreBuilder) -> Result<()> {
    let set = std::mem::take(builder);
    *builder = match option.name() {
        "table" => set.table(option.value()),
        "synchronous" => set.synchronous(option.one_of(&[
            ("normal", Synchronous::Normal),
            ("full", Synchronous::Full),
            ("off", Synchronous::Off),
        ])?),
        "readers" => match option.number()? {
            0 => return Err(option.refused("a whole number of connections, at least 1")),
            readers => set.readers(readers),
        },
        "deadline_ms" => set.deadline(option.millis()?),
        "max_data_len" => {
            set.max_data_len(option.limit()?.map_or(0, |most| usize::try_from(most).unwrap_or(usize::MAX)))
        }
        "mmap_size" => set.mmap_size(option.limit()?.unwrap_or(0)),
        "purge_interval_ms" => set.purge_interval(option.interval_millis()?),
        "batching" if option.switch()? => set,
        "batching" => set.batching(None),
        _ => return Err(option.unknown(OPTIONS)),
    };
    Ok(())
}
