use serde::{Deserialize, Serialize};

use crate::engine::Engine;

/// What a candidate is in a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A store of this workspace.
    Ours,
    /// A store of this workspace behind `Cached`.
    Cached,
    /// The driver alone, as most programs use it: what is left when a store costs nothing.
    Plain,
    /// A store of somebody else.
    Peer,
    /// A store of somebody else behind a cache of theirs.
    CachedPeer,
}

impl Kind {
    /// Of somebody else.
    pub fn is_peer(self) -> bool {
        matches!(self, Self::Peer | Self::CachedPeer)
    }

    /// Keeps what it read in the memory of the process, before a store that others share.
    pub fn is_cached(self) -> bool {
        matches!(self, Self::Cached | Self::CachedPeer)
    }
}

/// What a candidate is called, and what is to be known about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// One of a kind: the engine, a slash, and the candidate in small letters, such as `redis/ours`.
    pub id: String,
    /// As in the report, such as `RedisStore`.
    pub name: String,
    /// Of the crate that is measured.
    pub version: String,
    /// On what it keeps sessions.
    pub engine: Engine,
    /// What it is in the comparison.
    pub kind: Kind,
    /// How many connections it uses, in words.
    pub connections: String,
    /// Whether an update is conditional on what was read.
    pub conditional: bool,
}
