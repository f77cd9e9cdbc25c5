//! The engines that keep sessions.

mod clean;
pub mod cpu;
pub mod rss;
mod server;
pub mod size;
mod version;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

pub use clean::clean;
pub use server::Server;

/// A kind of server or embedded engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// The memory of this process.
    Memory,
    /// A file.
    Sqlite,
    /// A Redis server.
    Redis,
    /// A `PostgreSQL` server.
    Postgres,
    /// A MySQL or `MariaDB` server.
    Mysql,
    /// A MongoDB replica set.
    Mongo,
}

impl Engine {
    /// All engines, in the order of the report.
    pub const ALL: [Self; 6] =
        [Self::Memory, Self::Sqlite, Self::Redis, Self::Postgres, Self::Mysql, Self::Mongo];

    /// The name in arguments and in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Mongo => "mongo",
        }
    }

    /// Whether the engine is a separate process.
    pub fn is_server(self) -> bool {
        !matches!(self, Self::Memory | Self::Sqlite)
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|engine| engine.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|engine| engine.name()).collect();
            format!("there is no store '{name}'; there are {}", names.join(", "))
        })
    }
}
