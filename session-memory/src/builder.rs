use std::{sync::Arc, time::Duration};

use session_core::DEFAULT_MAX_DATA_LEN;

use crate::{MemoryStore, inner::Inner, purger};

/// The settings of a [`MemoryStore`], made by [`MemoryStore::builder`].
///
/// ```
/// use session_memory::{MemoryStore, WhenFull};
///
/// let store = MemoryStore::builder()
///     .max_sessions(1_000_000)
///     .max_bytes(2 << 30)
///     .when_full(WhenFull::EvictFirstToExpire)
///     .build();
/// ```
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until `build` is called"]
pub struct MemoryStoreBuilder {
    pub(crate) max_sessions: Option<u64>,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) max_data_len: usize,
    pub(crate) when_full: WhenFull,
    pub(crate) watch_capacity: usize,
    purge_interval: Option<Duration>,
}

/// What happens to a write for which there is no room after all expired sessions were freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// The write fails as [`ErrorKind::Full`](session_core::ErrorKind::Full). No session is lost.
    #[default]
    Refuse,
    /// Live sessions are evicted to make room. The store evicts the session that expires first in
    /// one shard (1 of 256); with an idle timeout, that is the session that was unused for longest.
    /// Each eviction logs a user out. The session that is being saved is never evicted.
    EvictFirstToExpire,
}

impl Default for MemoryStoreBuilder {
    fn default() -> Self {
        Self {
            max_sessions: None,
            max_bytes: None,
            max_data_len: DEFAULT_MAX_DATA_LEN,
            when_full: WhenFull::default(),
            watch_capacity: 4_096,
            purge_interval: Some(Duration::from_secs(1)),
        }
    }
}

impl MemoryStoreBuilder {
    /// The maximum number of sessions stored at a time. Default, and for zero: no limit.
    pub fn max_sessions(mut self, sessions: u64) -> Self {
        self.max_sessions = Some(sessions).filter(|most| *most > 0);
        self
    }

    /// The maximum number of bytes of session data stored at a time. Keys, owners and overhead (200
    /// to 500 bytes a session; see the README) are not counted. Default, and for zero: no limit.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes).filter(|most| *most > 0);
        self
    }

    /// The longest data of one session, in bytes. Default: 1 MiB; zero: no limit.
    pub fn max_data_len(mut self, bytes: usize) -> Self {
        self.max_data_len = if bytes == 0 { usize::MAX } else { bytes };
        self
    }

    /// What happens when a limit is reached. Default: [`WhenFull::Refuse`].
    pub fn when_full(mut self, policy: WhenFull) -> Self {
        self.when_full = policy;
        self
    }

    /// How many events a listener may lag behind before it is told that it has missed some.
    /// Default: 4,096; from one to 16 million.
    pub fn watch_capacity(mut self, events: usize) -> Self {
        self.watch_capacity = events.clamp(1, 1 << 24);
        self
    }

    /// How long an expired session may take up space, and its expiry go unreported, at most.
    /// Default: one second; minimum: one millisecond. Expired sessions are invisible at once,
    /// whatever is set here.
    ///
    /// Zero turns off the thread that frees expired sessions. Each write then frees and reports up
    /// to two expired sessions of its shard, so that they do not pile up. The others are freed when
    /// a limit is reached, by `count` and by `purge_expired`. A store that is no longer written
    /// keeps its expired sessions.
    pub fn purge_interval(mut self, interval: Duration) -> Self {
        self.purge_interval = (!interval.is_zero()).then(|| interval.max(Duration::from_millis(1)));
        self
    }

    /// Makes the store and starts its purging thread, unless `purge_interval` is zero.
    pub fn build(self) -> MemoryStore {
        let inner = Arc::new(Inner::new(&self));
        // The thread ends by itself when the store does.
        let _detached = self.purge_interval.map(|interval| purger::start(&inner, interval));
        MemoryStore { inner }
    }
}
