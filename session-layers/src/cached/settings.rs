use std::time::Duration;

use session_core::{Error, ErrorKind, Operation, Result};

#[cfg(test)]
use super::flaw::Flaw;

/// How much a [`Cached`](super::Cached) store keeps, and for how long.
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
    /// How much memory the sessions may take, in bytes: data, owners and what it takes to find them. 64 MiB unless set.
    ///
    /// For moments, a little more is taken while entries are replaced. Beyond it, the least recently used sessions go.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How many sessions may be kept. As many as there is memory for, unless set.
    pub fn max_entries(mut self, entries: u64) -> Self {
        self.max_entries = entries;
        self
    }

    /// For how long a session may be read here after it was changed or deleted elsewhere, at the very worst: when the connection that tells of
    /// changes is frozen and that was not noticed yet. Thirty seconds unless set.
    ///
    /// Each session that is in use is read from the store at least once in this time. It is counted from before the store was asked, by a clock that
    /// does not jump.
    pub fn max_staleness(mut self, bound: Duration) -> Self {
        self.max_staleness = bound;
        self
    }

    /// How many ids that nobody has are remembered, and for how long, so that a client which repeats an ended id does not cost a question each
    /// time. 8,192 and one second unless set; never longer than [`max_staleness`](Self::max_staleness); none if either is zero.
    ///
    /// They have room of their own, about 200 bytes each, and take none from sessions.
    pub fn unknown_ids(mut self, entries: u64, time: Duration) -> Self {
        self.unknown_entries = if time.is_zero() { 0 } else { entries };
        self.unknown_for = time;
        self
    }

    /// Caches a store that cannot tell of changes by others, too: then a session that was ended elsewhere can be read here
    /// for up to [`max_staleness`](Self::max_staleness), each time.
    pub fn accept_staleness_without_watch(mut self) -> Self {
        self.accepts_staleness = true;
        self
    }

    /// Refuses what cannot be meant.
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
