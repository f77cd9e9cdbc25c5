//! What is compared: one trait for every way to keep sessions, ours or not.

mod all;
mod description;
pub mod ours;
mod place;
pub mod plain;
mod spec;
mod turns;
pub mod versions;

use std::{ops::Range, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

pub use all::all;
pub use description::{Description, Kind};
pub use place::Place;
pub use spec::{Opening, OpeningProbe, Spec};
pub use turns::{Turn, Turns};

use crate::payload::Payload;

/// Whatever a driver or a store says.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What an operation of a candidate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How long a session lives after it was written or touched, unless a workload lets it expire.
pub const TTL: Duration = Duration::from_hours(1);

/// A session that is to be stored.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// What it holds. No two sessions hold the same.
    pub data: Bytes,
    /// How long it lives.
    pub ttl: Duration,
    /// Whose it is: the number of a user. Stores without an index of owners have no use for it.
    pub owner: Option<usize>,
}

impl NewSession {
    /// A session of nobody that lives for [`TTL`].
    pub fn new(data: Bytes) -> Self {
        Self { data, ttl: TTL, owner: None }
    }
}

/// A way to keep sessions, opened for so many of them.
///
/// Sessions are numbered from zero; the candidate knows the id, key or version that belongs to a number. Several callers use the same
/// number at the same time. An operation that did not do what it is for returns an error: it is counted and shown.
#[async_trait]
pub trait Candidate: Send + Sync {
    /// Stores a new session under a new id, which the number means from now on. What it meant before is left to expire.
    async fn create(&self, session: usize, new: NewSession) -> Result<()>;

    /// Reads a session, and returns how many bytes of data it has; `None` if it is not there.
    async fn read(&self, session: usize) -> Result<Option<usize>>;

    /// Replaces the data of a session and lets it live for [`TTL`]. Conditional, where the store can: on the version that was last seen; after a
    /// conflict again on the version that is there. Returns how many conflicts there were.
    async fn update(&self, session: usize, data: Bytes) -> Result<u32>;

    /// Lets a session live for [`TTL`] from now, by the cheapest way that the store has.
    async fn touch(&self, session: usize) -> Result<()>;

    /// Ends a session.
    async fn delete(&self, session: usize) -> Result<()>;

    /// Gives a session a new id and new content, as at a login; the old id ends. The number means the new id from now on.
    async fn rotate(&self, session: usize, new: NewSession) -> Result<()>;

    /// Ends all sessions of a user, and returns how many there were. `None` where that cannot be done.
    async fn logout_everywhere(&self, owner: usize) -> Option<Result<u64>> {
        let _ = owner;
        None
    }

    /// Stores many sessions, by the fastest way that there is. By [`create`](Self::create), 32 at a time, unless overridden.
    async fn fill(&self, sessions: Range<usize>, payload: &Payload, ttl: Duration) -> Result<()> {
        stream::iter(sessions)
            .map(|session| self.create(session, NewSession { data: payload.next(), ttl, owner: None }))
            .buffer_unordered(32)
            .try_collect()
            .await
    }

    /// Removes what has expired, and returns how much, if it tells. `None` where there is no such call: the engine does it alone, or nobody does.
    async fn purge(&self) -> Option<Result<Option<u64>>> {
        None
    }

    /// How much longer than its lifetime a session may live: some count in whole seconds.
    fn lives_longer(&self) -> Duration {
        Duration::ZERO
    }

    /// The bytes that the sessions take on the engine, indexes included. `None` where that cannot be told.
    async fn size(&self) -> Result<Option<u64>> {
        Ok(None)
    }
}
