use std::time::Duration;

use session_core::{Error, ErrorKind, Operation, Result};

#[cfg(test)]
use super::flaw::Flaw;

/// Limits of a [`Cached`](super::Cached) store: memory, entries and age.
///
/// ```
/// use std::time::Duration;
/// use session_layers::CacheSettings;
///
/// let settings = CacheSettings::default()
///     .max_bytes(256 << 20)
///     .max_entries(1_000_000)
///     .max_staleness(Duration::from_secs(2));
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "settings do nothing until a store is cached with them"]
pub struct CacheSettings {
    pub(crate) max_bytes: u64,
    pub(crate) max_entries: u64,
    pub(crate) max_staleness: Duration,
    pub(crate) unknown_entries: u64,
    pub(crate) unknown_for: Duration,
    pub(crate) accepts_staleness: bool,
    #[cfg(test)]
    pub(crate) flaw: Option<Flaw>,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_entries: u64::MAX,
            max_staleness: Duration::from_secs(30),
            unknown_entries: 8_192,
            unknown_for: Duration::from_secs(1),
            accepts_staleness: false,
            #[cfg(test)]
            flaw: None,
        }
    }
}

impl CacheSettings {
    /// Maximum memory of the cached sessions, in bytes. Default: 64 MiB.
    ///
    /// Data, owners and the overhead of each entry count. The cache exceeds the bound briefly while
    /// it replaces entries. Beyond the bound, the least recently used sessions are evicted.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Maximum number of cached sessions. Default: no limit other than memory.
    pub fn max_entries(mut self, entries: u64) -> Self {
        self.max_entries = entries;
        self
    }

    /// Maximum time for which a session can still be read here after another node changed or
    /// deleted it. Default: 30 s.
    ///
    /// This is the worst case: the connection that delivers change events is frozen, and the cache
    /// has not noticed it yet.
    ///
    /// Each session that is in use is read from the store at least once in this time. The time
    /// counts from before the cache asks the store, by a monotonic clock.
    pub fn max_staleness(mut self, bound: Duration) -> Self {
        self.max_staleness = bound;
        self
    }

    /// Size and TTL of the negative cache (ids known not to exist). Default: 8,192 ids, one second.
    ///
    /// With it, a client that repeats an ended id does not cause a read of the store each time. The
    /// TTL is never longer than [`max_staleness`](Self::max_staleness). If either is zero, the
    /// negative cache is off.
    ///
    /// Each id takes about 200 bytes. The negative cache has its own memory and takes none from
    /// sessions.
    pub fn unknown_ids(mut self, entries: u64, time: Duration) -> Self {
        self.unknown_entries = if time.is_zero() { 0 } else { entries };
        self.unknown_for = time;
        self
    }

    /// Also accepts a store that does not report changes by other nodes.
    ///
    /// A session that was ended elsewhere can then be read here for up to
    /// [`max_staleness`](Self::max_staleness), each time.
    pub fn accept_staleness_without_watch(mut self) -> Self {
        self.accepts_staleness = true;
        self
    }

    /// Rejects invalid settings.
    pub(crate) fn check(&self) -> Result<()> {
        let refuse = |reason| Err(Error::new(ErrorKind::Config, Operation::Connect).because(reason));
        if self.max_bytes == 0 || self.max_entries == 0 {
            return refuse(
                "a cache of no bytes or no entries keeps nothing; to have none, use the store itself",
            );
        }
        if self.max_staleness < Duration::from_millis(1) {
            return refuse(
                "max_staleness is at least a millisecond; to read nothing stale, use the store itself",
            );
        }
        Ok(())
    }
}
