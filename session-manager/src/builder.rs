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

    /// How long a session lives after its last use. Default: one day. From one millisecond to [a
    /// hundred years](Ttl::MAX).
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.idle = timeout;
        self
    }

    /// How long a session lives at most after its creation or login, however much it is used.
    /// Default: 30 days.
    ///
    /// Measured by the clocks of the nodes that create and serve the session: these must agree as
    /// closely as the application requires.
    pub fn absolute_timeout(mut self, timeout: Duration) -> Self {
        self.settings.absolute = timeout;
        self
    }

    /// The part of the idle timeout that a touch must gain to be worth a write, from 0 (every
    /// request that reads its session touches it) to 1 (never: only saves renew it). Default: 0.1.
    ///
    /// With the default, a session in constant use is touched ten times per idle timeout, and may
    /// end up to a tenth of the idle timeout too early.
    pub fn touch_after(mut self, part_of_idle_timeout: f64) -> Self {
        self.settings.touch_after = part_of_idle_timeout;
        self
    }

    /// The codec of values that are encoded from now on. Default: [`Codec::MessagePack`]. Values
    /// that other codecs have encoded stay readable.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.settings.codec = codec;
        self
    }

    /// The version of the data that the application keeps in its sessions. Default: 0.
    ///
    /// The application reads it back with
    /// [`Session::schema_version`](crate::Session::schema_version). A session keeps the highest
    /// version that has written to it.
    pub fn schema_version(mut self, version: u16) -> Self {
        self.settings.schema_version = version;
        self
    }

    /// The maximum size of a session in bytes: all its values, their keys, and an overhead of about
    /// 60 bytes. Default, and upper limit: what the store accepts.
    pub fn max_len(mut self, bytes: usize) -> Self {
        self.settings.max_len = bytes;
        self
    }

    /// What a save does about keys that others have changed meanwhile. Default:
    /// [`SameKey::LastWriterWins`].
    pub fn same_key(mut self, policy: SameKey) -> Self {
        self.settings.same_key = policy;
        self
    }

    /// How often a change is tried before it fails as
    /// [`Contended`](crate::SessionError::Contended). Default: 64; at least 1.
    ///
    /// Before each eighth attempt there is a pause of random length, which grows to 50
    /// milliseconds. Tasks of one process queue for a contended session.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.settings.max_attempts = attempts.max(1);
        self
    }

    /// The maximum number of sessions per owner. Default: no limit.
    ///
    /// With [`WhenReached::EndOldest`], each login that is under way may exceed the limit by one;
    /// when all have returned, no more than `max` sessions are left. With [`WhenReached::Refuse`],
    /// no more than `max` logins succeed; of several that overlap at the limit, all may be refused
    /// although there was room for one.
    pub fn max_sessions_per_owner(mut self, max: usize, when_reached: WhenReached) -> Self {
        self.settings.limit = Some((max, when_reached));
        self
    }

    /// Requires a store with an index of owners: [`build`](Self::build) fails without one.
    ///
    /// For applications that show "your devices" or offer "log out everywhere". Without this
    /// setting, they learn only in a request that their store has no index: see
    /// [`SessionManager::can_list_owners`].
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

    /// Adds a listener, which is called after each [`SessionEvent`] of this manager.
    ///
    /// May be called several times. All listeners are called, in the order in which they were
    /// added, on the task that caused the event: a listener should be quick and must not block.
    pub fn on_event(mut self, listener: impl Fn(&SessionEvent) + Send + Sync + 'static) -> Self {
        self.settings.listeners.push(Arc::new(listener));
        self
    }

    /// Builds the manager. Costs no I/O.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidTtl`] for a timeout that no store can keep. [`ErrorKind::Config`] for
    /// other invalid settings, and for settings that this store cannot carry out.
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
