use std::time::Duration;

use session_core::{Bytes, Owner, Record, SessionKey, Version};

use super::clock::Moment;

/// One session as the cache keeps it. By value: a look-up copies it, which takes two counters, of the data and of the owner.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) data: Bytes,
    pub(crate) version: Version,
    pub(crate) owner: Option<Owner>,
    /// Not later than the end of the record by the store's clock, because it counts from before the store was asked.
    pub(crate) expires_at: Moment,
    /// When it is too old to be used, whatever was heard. Counts from before the store was asked, too.
    pub(crate) fresh_until: Moment,
    /// Of the [gate](super::gate::Gate).
    pub(crate) epoch: u64,
    /// This cache wrote it and has not heard of that yet: the first event with its version is no news.
    pub(crate) awaits_echo: bool,
}

/// What one entry takes beside its data and owner, in bytes: measured by the benchmark `cached_store`.
const OVERHEAD: usize = 560;

/// An id that nobody has, as the cache keeps it.
#[derive(Clone, Copy)]
pub(crate) struct Unknown {
    pub(crate) until: Moment,
    pub(crate) epoch: u64,
}

impl Entry {
    /// What a store said to a question that was sent at `asked`.
    pub(crate) fn new(record: &Record, asked: Moment, max_staleness: Duration, epoch: u64) -> Self {
        Self {
            // A copy, because a small view would keep a large buffer alive that no weight accounts for.
            data: Bytes::copy_from_slice(&record.data),
            version: record.version,
            owner: record.owner.clone(),
            expires_at: asked.plus(record.expires_in),
            fresh_until: asked.plus(max_staleness),
            epoch,
            awaits_echo: false,
        }
    }

    pub(crate) fn into_record(self, now: Moment) -> Record {
        let expires_in = self.expires_at.since(now);
        Record { data: self.data, version: self.version, expires_in, owner: self.owner }
    }

    /// In bytes, about.
    pub(crate) fn weight(&self, _key: &SessionKey) -> u64 {
        let owner = self.owner.as_ref().map_or(0, |owner| owner.as_str().len() + 16);
        (OVERHEAD + self.data.len() + owner) as u64
    }
}
