use serde::{Deserialize, Serialize};

use crate::engine::Engine;

/// The role of a candidate in a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A store of this workspace.
    Ours,
    /// A store of this workspace behind `Cached`.
    Cached,
    /// The driver alone, as most programs use it: the cost without a store.
    Plain,
    /// A third-party store.
    Peer,
    /// A third-party store behind its own cache.
    CachedPeer,
}

impl Kind {
    /// Whether the store is a third-party one.
    pub fn is_peer(self) -> bool {
        matches!(self, Self::Peer | Self::CachedPeer)
    }

    /// Whether the candidate keeps what it read in the memory of the process, in front of a shared
    /// store.
    pub fn is_cached(self) -> bool {
        matches!(self, Self::Cached | Self::CachedPeer)
    }
}

/// The name and the properties of a candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// A unique id: the engine, a slash, and the candidate in lower case, such as `redis/ours`.
    pub id: String,
    /// The name in the report, such as `RedisStore`.
    pub name: String,
    /// The version of the measured crate.
    pub version: String,
    /// The engine that keeps the sessions.
    pub engine: Engine,
    /// The role in the comparison.
    pub kind: Kind,
    /// A description of the number of connections.
    pub connections: String,
    /// Whether an update is conditional on the version that was read.
    pub conditional: bool,
}
