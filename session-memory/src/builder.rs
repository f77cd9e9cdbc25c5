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

/// What happens to a write for which there is no room, after everything that has expired was freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// The write fails as [`ErrorKind::Full`](session_core::ErrorKind::Full), and nobody loses a session.
    #[default]
    Refuse,
    /// Live sessions are ended to make room: those that expire first among the sessions of one part of the store (1 in 256), which with an
    /// idle timeout are those that were not used for longest. Somebody is logged out for each, but never the one whose session is being saved.
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
    /// The most sessions that are stored at a time. Default, and for zero: no limit.
    pub fn max_sessions(mut self, sessions: u64) -> Self {
        self.max_sessions = Some(sessions).filter(|most| *most > 0);
        self
    }

    /// The most bytes of session data that are stored at a time, not counting keys, owners and overhead (200 to 500 bytes a
    /// session; see the README). Default, and for zero: no limit.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes).filter(|most| *most > 0);
        self
    }

    /// The longest data of one session, in bytes. Default: 1 MiB; zero: no limit.
    pub fn max_data_len(mut self, bytes: usize) -> Self {
        self.max_data_len = if bytes == 0 { usize::MAX } else { bytes };
        self
    }

    /// What happens when a limit is reached. [`WhenFull::Refuse`] unless set.
    pub fn when_full(mut self, policy: WhenFull) -> Self {
        self.when_full = policy;
        self
    }

    /// How many events a listener may be behind before it is told that it has missed some. 4,096 unless set; from one to 16 million.
    pub fn watch_capacity(mut self, events: usize) -> Self {
        self.watch_capacity = events.clamp(1, 1 << 24);
        self
    }

    /// How long expired sessions may take up space, and their expiry go unreported, at most.
    /// Default: one second; one
    /// millisecond is the least. Expired sessions are invisible at once, whatever is set here.
    ///
    /// Zero turns the thread off that frees them. Then each write frees up to two that have expired
    /// in its part of the store, so that they do not pile up, and reports them; the rest goes when
    /// a limit is reached, by `count` and by `purge_expired`. A store that is no longer written
    /// keeps what it has.
    pub fn purge_interval(mut self, interval: Duration) -> Self {
        self.purge_interval = (!interval.is_zero()).then(|| interval.max(Duration::from_millis(1)));
        self
    }

    /// Makes the store, and starts the thread that frees expired sessions, unless that is off.
    pub fn build(self) -> MemoryStore {
        let inner = Arc::new(Inner::new(&self));
        // The thread ends by itself when the store does.
        let _detached = self.purge_interval.map(|interval| purger::start(&inner, interval));
        MemoryStore { inner }
    }
}
