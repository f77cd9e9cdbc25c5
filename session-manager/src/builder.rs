use std::{sync::Arc, time::Duration};

use session_core::{Error, ErrorKind, Operation, SessionStore, Ttl};

use crate::{Codec, SameKey, SessionEvent, SessionManager, WhenReached, settings::Settings};

/// The settings of a [`SessionManager`], made by [`SessionManager::builder`].
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until the manager is built"]
pub struct SessionManagerBuilder {
    store: Arc<dyn SessionStore>,
    settings: Settings,
    needs_owner_index: bool,
}

impl SessionManagerBuilder {
    pub(crate) fn new(store: Arc<dyn SessionStore>) -> Self {
        Self { store, settings: Settings::default(), needs_owner_index: false }
    }

    /// How long a session lives after it was last used. One day unless set; from a millisecond to
    /// [a hundred years](Ttl::MAX).
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.idle = timeout;
        self
    }

    /// How long a session lives at most after its creation or login, however much it is used. 30 days unless set.
    ///
    /// Counted by the clocks of the nodes that create and serve it: these should agree to what the application can bear.
    pub fn absolute_timeout(mut self, timeout: Duration) -> Self {
        self.settings.absolute = timeout;
        self
    }

    /// Which part of the idle timeout a touch must gain to be worth a write, from 0 (every request that reads its session
    /// touches it) to 1 (never: only saves renew it). A tenth unless set: a session that is used all the time is then touched
    /// ten times per idle timeout, and may end up to that tenth too early.
    pub fn touch_after(mut self, part_of_idle_timeout: f64) -> Self {
        self.settings.touch_after = part_of_idle_timeout;
        self
    }

    /// How values are encoded from now on. [`Codec::MessagePack`] unless set. What other codecs have encoded stays readable.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.settings.codec = codec;
        self
    }

    /// The version of what the application keeps in its sessions, for the application to read back with
    /// [`Session::schema_version`](crate::Session::schema_version). Zero unless set. A session keeps the highest that has written to it.
    pub fn schema_version(mut self, version: u16) -> Self {
        self.settings.schema_version = version;
        self
    }

    /// The most bytes that a session may have, all its values, their keys and about 60 bytes of its own together. Unless set, what the store
    /// accepts; more than that cannot be had.
    pub fn max_len(mut self, bytes: usize) -> Self {
        self.settings.max_len = bytes;
        self
    }

    /// What a save does about keys that others have changed meanwhile. [`SameKey::LastWriterWins`] unless set.
    pub fn same_key(mut self, policy: SameKey) -> Self {
        self.settings.same_key = policy;
        self
    }

    /// How often a change is tried before it fails as [`Contended`](crate::SessionError::Contended). 64 unless set, at least one. Before each
    /// eighth attempt there is a pause of a random length, which grows to 50 milliseconds. Tasks of one process queue up for a session that is contended.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.settings.max_attempts = attempts.max(1);
        self
    }

    /// How many sessions one owner may have. Without limit unless set.
    ///
    /// With [`WhenReached::EndOldest`], logins may exceed the limit while they are under way, each by one; when all have returned, no more
    /// than `max` are left. With [`WhenReached::Refuse`], no more than `max` logins succeed; of several that overlap at the limit, all may
    /// be refused although there was room for one.
    pub fn max_sessions_per_owner(mut self, max: usize, when_reached: WhenReached) -> Self {
        self.settings.limit = Some((max, when_reached));
        self
    }

    /// Demands a store with an index of owners: [`build`](Self::build) fails without. For
    /// applications that show "your devices" or offer "log out everywhere", which otherwise learn
    /// in a request that their store cannot: see [`SessionManager::can_list_owners`].
    ///
    /// ```
    /// use session_manager::SessionManager;
    ///
    /// # fn main() -> Result<(), session_manager::session_core::Error> {
    /// let manager = SessionManager::builder(session_memory::MemoryStore::new()).require_owner_index().build()?;
    /// # let _ = manager;
    /// # Ok(()) }
    /// ```
    pub fn require_owner_index(mut self) -> Self {
        self.needs_owner_index = true;
        self
    }

    /// Calls `listener` after something has happened to a session through this manager. See [`SessionEvent`].
    ///
    /// May be set several times; all are called, in this order, on the task that did it: a listener should be quick and must not block.
    pub fn on_event(mut self, listener: impl Fn(&SessionEvent) + Send + Sync + 'static) -> Self {
        self.settings.listeners.push(Arc::new(listener));
        self
    }

    /// The manager. Asks the store nothing.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidTtl`] for a timeout that no store can keep, [`ErrorKind::Config`] for other settings that make no sense,
    /// or that this store cannot carry out.
    pub fn build(self) -> Result<SessionManager, Error> {
        let Self { store, settings, needs_owner_index } = self;
        Ttl::new(settings.idle)?;
        Ttl::new(settings.absolute)?;
        let config = |reason: &str| Err(Error::new(ErrorKind::Config, Operation::Connect).because(reason));
        if !(0.0..=1.0).contains(&settings.touch_after) {
            return config("touch_after is a part of the idle timeout, from 0 to 1");
        }
        if let Some((max, _)) = settings.limit {
            if max == 0 {
                return config("max_sessions_per_owner must be at least 1, or nobody could log in");
            }
            if store.owners().is_none() {
                return config(
                    "max_sessions_per_owner needs a store with an index of owners, and this one has none",
                );
            }
        }
        if needs_owner_index && store.owners().is_none() {
            return config("an index of owners is required, and this store has none");
        }
        Ok(SessionManager::with(store, settings))
    }
}
