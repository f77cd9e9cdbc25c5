use serde::{Deserialize, Serialize};

use crate::engine::Engine;

/// Where a candidate keeps its sessions: a server, and a name that is unique on it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Place {
    /// The kind of server.
    pub engine: Engine,
    /// The URL, or a directory for SQLite, or empty for the memory of this process.
    pub url: String,
    /// The name of the table, namespace, database or file: lower case, digits and underscores.
    pub name: String,
    /// Whether each write is on disk when it is acknowledged.
    pub durable: bool,
    /// Whether a store may remove expired sessions by itself. Off where the purge is measured.
    pub purges_itself: bool,
}

impl Place {
    /// The URL with one more option.
    pub fn with_option(&self, option: &str, value: &str) -> String {
        let separator = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{separator}{option}={value}", self.url)
    }

    /// The file of an SQLite database.
    pub fn file(&self) -> std::path::PathBuf {
        std::path::Path::new(&self.url).join(format!("{}.db", self.name))
    }
}
