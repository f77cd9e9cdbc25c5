use std::time::Duration;

/// Statistics of a cache since it was created, returned by [`Cached::stats`](super::Cached::stats).
///
/// Each number is exact. Numbers that are read while other tasks work need not be consistent with
/// each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Whether the cache is in use. If not, it receives no change events, and every read goes to
    /// the store.
    pub is_ready: bool,
    /// Why the cache is not in use: the last error of the store's watch, or that the watch ended.
    /// The log has the reason, too, as one warning and then at most one a minute. `None` while the
    /// cache is in use, before the first attempt to subscribe, and after the store was closed.
    pub outage: Option<String>,
    /// Sessions in the cache. Settles a moment after the last change.
    pub entries: u64,
    /// Memory of these sessions, in bytes. Settles a moment after the last change.
    pub bytes: u64,
    /// Reads of sessions that the cache answered.
    pub hits: u64,
    /// Reads that the negative cache answered (ids known not to exist).
    pub unknown_hits: u64,
    /// Reads for which the cache asked the store.
    pub misses: u64,
    /// Reads that shared the answer to another read.
    pub shared: u64,
    /// Reads that bypassed the cache because it was not in use.
    pub bypasses: u64,
    /// Answers of the store that were returned to the callers but not cached, because the record
    /// may have changed meanwhile.
    pub discarded_fills: u64,
    /// Removed entries, by cause.
    pub evictions: Evictions,
    /// Delay of change events.
    pub lag: Lag,
}

/// Entries that were removed from a cache, by cause. Part of [`CacheStats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evictions {
    /// Evicted to make room. The least recently used entries go first.
    pub space: u64,
    /// An event reported that the record changed. If the store's events do not name versions, this
    /// includes writes through this cache.
    pub changed: u64,
    /// A change through this cache left the record's state uncertain.
    pub own: u64,
    /// A read found the entry expired.
    pub expired: u64,
    /// A read found the entry older than `max_staleness`.
    pub stale: u64,
    /// How often the whole cache was emptied, for example because events may have been missed.
    pub flushes: u64,
}

/// Delay between the store's reply to a change through this cache and the event that reports it.
/// Part of [`CacheStats`].
///
/// The cache measures a sample of its own changes. Changes by other nodes arrive the same way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lag {
    /// Number of changes that were measured.
    pub samples: u64,
    /// The median, rounded up to a power of two in microseconds.
    pub p50: Duration,
    /// The 99th percentile, rounded up in the same way.
    pub p99: Duration,
    /// The longest.
    pub longest: Duration,
}
