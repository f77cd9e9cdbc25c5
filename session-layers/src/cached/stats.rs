use std::time::Duration;

/// What a cache has done since it was made, by [`Cached::stats`](super::Cached::stats).
///
/// Each number is exact; read while others work, they need not fit together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Whether the cache is in use. If not, nobody tells it of changes, and every read goes to the store.
    pub is_whole: bool,
    /// Why the cache is not in use: what the store's watch said last, or that it ended. The log has
    /// it, too, as one warning and then at most one a minute. `None` while all is well, before the
    /// first attempt to listen, and once the store was closed.
    pub outage: Option<String>,
    /// Sessions kept now. Settles a moment after the last change.
    pub entries: u64,
    /// What they take, in bytes. Settles a moment after the last change.
    pub bytes: u64,
    /// Reads that were answered by the cache, of sessions.
    pub hits: u64,
    /// Reads that were answered by the cache, of ids that nobody has.
    pub unknown_hits: u64,
    /// Reads for which the store was asked.
    pub misses: u64,
    /// Reads that shared the question of another one.
    pub shared: u64,
    /// Reads that went past the cache because it was not whole.
    pub bypasses: u64,
    /// Answers of the store that were given to those who had asked, and not kept: something may have changed the record meanwhile.
    pub discarded_fills: u64,
    /// Entries that went, by cause.
    pub evictions: Evictions,
    /// How long changes took to be heard of.
    pub lag: Lag,
}

/// Entries that went out of a cache, by cause. Part of [`CacheStats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evictions {
    /// To make room for others: the least recently used go first.
    pub space: u64,
    /// An event said that the record had changed. Where the store's events do not tell versions, that includes what was written through this cache.
    pub changed: u64,
    /// A change through this cache, after which it was not certain what the record is.
    pub own: u64,
    /// Found to have expired.
    pub expired: u64,
    /// Found to be older than `max_staleness`.
    pub stale: u64,
    /// How often the whole cache was emptied, because of a gap in what was heard.
    pub flushes: u64,
}

/// How long changes through a cache took to come back to it as events, counted from the reply of the store. Part of [`CacheStats`].
///
/// What this cache itself changes is measured, a sample of it. What others change takes the same way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lag {
    /// How many changes were measured.
    pub samples: u64,
    /// The median, rounded up to a power of two microseconds.
    pub p50: Duration,
    /// The 99th percentile, rounded up likewise.
    pub p99: Duration,
    /// The longest.
    pub longest: Duration,
}
