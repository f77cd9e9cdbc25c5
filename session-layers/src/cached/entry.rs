use std::time::Duration;

use session_core::{Bytes, Owner, Record, SessionKey, Version};

use super::clock::Moment;

/// A cached session.
///
/// Stored by value: a look-up clones it, which increments two reference counts (data and owner).
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) data: Bytes,
    pub(crate) version: Version,
    pub(crate) owner: Option<Owner>,
    /// When the record expires. Not later than by the store's clock, because the time counts from
    /// before the store was asked.
    pub(crate) expires_at: Moment,
    /// When the entry is too old to be used, whatever the watch reports. Also counts from before
    /// the store was asked.
    pub(crate) fresh_until: Moment,
    /// The [epoch](super::epoch::Epoch) in which its read began.
    pub(crate) epoch: u64,
    /// This cache wrote the record and has not received the event for it yet. The first event with
    /// this version is that echo, and changes nothing.
    pub(crate) expects_own_event: bool,
}

/// Memory of an entry in addition to its data and owner, in bytes. Measured by the benchmark
/// `cached_store`.
const OVERHEAD: usize = 560;

/// An entry of the negative cache.
#[derive(Clone, Copy)]
pub(crate) struct Unknown {
    pub(crate) until: Moment,
    pub(crate) epoch: u64,
}

impl Entry {
    /// Makes an entry from the store's answer to a request that was sent at `asked`.
    pub(crate) fn new(record: &Record, asked: Moment, max_staleness: Duration, epoch: u64) -> Self {
        Self {
            // A copy, because a small slice would keep a large buffer alive, which no weight
            // counts.
            data: Bytes::copy_from_slice(&record.data),
            version: record.version,
            owner: record.owner.clone(),
            expires_at: asked.plus(record.expires_in),
            fresh_until: asked.plus(max_staleness),
            epoch,
            expects_own_event: false,
        }
    }

    pub(crate) fn into_record(self, now: Moment) -> Record {
        let expires_in = self.expires_at.since(now);
        Record { data: self.data, version: self.version, expires_in, owner: self.owner }
    }

    /// Approximate memory, in bytes.
    pub(crate) fn weight(&self, _key: &SessionKey) -> u64 {
        let owner = self.owner.as_ref().map_or(0, |owner| owner.as_str().len() + 16);
        (OVERHEAD + self.data.len() + owner) as u64
    }
}
