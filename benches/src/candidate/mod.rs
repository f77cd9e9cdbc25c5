//! The candidates: one trait for every way to keep sessions, of this workspace or not.

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

/// The error of a driver or a store.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The result of an operation of a candidate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The time to live of a session after a write or touch, unless a workload lets it expire.
pub const TTL: Duration = Duration::from_hours(1);

/// A session to store.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The data. No two sessions have the same.
    pub data: Bytes,
    /// The time to live.
    pub ttl: Duration,
    /// The number of its user. Stores without an owner index ignore it.
    pub owner: Option<usize>,
}

impl NewSession {
    /// A session without an owner that lives for [`TTL`].
    pub fn new(data: Bytes) -> Self {
        Self { data, ttl: TTL, owner: None }
    }
}

/// A way to keep sessions, opened for a fixed number of them.
///
/// Sessions are numbered from zero. The candidate maps a number to an id, key or version. Several
/// callers use the same number at the same time. An operation that did not have its effect returns
/// an error, which is counted and shown.
#[async_trait]
pub trait Candidate: Send + Sync {
    /// Stores a new session under a new id, which replaces the id of that number. The session of
    /// the previous id is left to expire.
    async fn create(&self, session: usize, new: NewSession) -> Result<()>;

    /// Reads a session, and returns the length of its data in bytes; `None` if there is none.
    async fn read(&self, session: usize) -> Result<Option<usize>>;

    /// Replaces the data of a session, which then lives for [`TTL`]. Returns the number of
    /// conflicts.
    ///
    /// Conditional on the last seen version, if the store supports that. After a conflict, it is
    /// retried on the version that is there.
    async fn update(&self, session: usize, data: Bytes) -> Result<u32>;

    /// Lets a session live for [`TTL`] from now, in the cheapest way that the store has.
    async fn touch(&self, session: usize) -> Result<()>;

    /// Ends a session.
    async fn delete(&self, session: usize) -> Result<()>;

    /// Gives a session a new id and new content, as at a login, and ends the old id. The number
    /// then refers to the new id.
    async fn rotate(&self, session: usize, new: NewSession) -> Result<()>;

    /// Ends all sessions of a user, and returns their number. `None` if the store cannot do that.
    async fn logout_everywhere(&self, owner: usize) -> Option<Result<u64>> {
        let _ = owner;
        None
    }

    /// Stores many sessions in the fastest way. Default: [`create`](Self::create), 32 at a time.
    async fn fill(&self, sessions: Range<usize>, payload: &Payload, ttl: Duration) -> Result<()> {
        stream::iter(sessions)
            .map(|session| self.create(session, NewSession { data: payload.next(), ttl, owner: None }))
            .buffer_unordered(32)
            .try_collect()
            .await
    }

    /// Removes expired sessions, and returns their number if the store reports it.
    ///
    /// `None` if there is no such call: the engine removes them itself, or they are never removed.
    async fn purge(&self) -> Option<Result<Option<u64>>> {
        None
    }

    /// How much longer than its TTL a session may live: some stores count in whole seconds.
    fn lives_longer(&self) -> Duration {
        Duration::ZERO
    }

    /// The bytes that the sessions take on the engine, indexes included. `None` if unknown.
    async fn size(&self) -> Result<Option<u64>> {
        Ok(None)
    }
}
