use serde::{Deserialize, Serialize};

use crate::engine::Engine;

/// Where a candidate keeps its sessions: a server, and a name on it that nobody else has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Place {
    /// What kind of server.
    pub engine: Engine,
    /// Where it is: a URL, or a directory for SQLite, or nothing for the memory of this process.
    pub url: String,
    /// For a table, a namespace, a database or a file: small letters, digits and underscores.
    pub name: String,
    /// Whether each write is on the disk when it is acknowledged.
    pub durable: bool,
    /// Whether a store may remove by itself what has expired. Not where it is measured how long that takes.
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
