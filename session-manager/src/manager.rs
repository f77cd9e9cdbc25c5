use std::{fmt, sync::Arc};

use futures_util::StreamExt;
use session_core::{Error, ErrorKind, Event, Operation, Purpose, SessionId, SessionKey, SessionStore};

use crate::{
    Result, Session, SessionEvent, SessionManagerBuilder, settings::Settings, write_queue::WriteQueues,
};

/// Creates [`Session`]s over a store.
///
/// Use one manager for each deployment, shared by all requests. Clones are cheap and are the same
/// manager.
///
/// ```
/// use std::time::Duration;
/// use session_manager::SessionManager;
/// use session_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> session_manager::Result<()> {
/// let manager = SessionManager::builder(MemoryStore::new())
///     .idle_timeout(Duration::from_secs(30 * 60))
///     .absolute_timeout(Duration::from_secs(8 * 60 * 60))
///     .build()?;
///
/// let session = manager.create();
/// session.insert("theme", "dark")?;
/// session.save().await?;
/// let id = session.id().expect("it is stored now");
///
/// let same = manager.load(&id).await?.expect("it is live");
/// assert_eq!(same.get::<String>("theme").await?.as_deref(), Some("dark"));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SessionManager {
    inner: Arc<Inner>,
    purpose: Option<Purpose>,
}

struct Inner {
    store: Arc<dyn SessionStore>,
    settings: Settings,
    write_queues: WriteQueues,
    max_len: usize,
}

impl SessionManager {
    /// A manager with the default settings: see [`SessionManagerBuilder`].
    ///
    /// Accepts every store. Over a store without an index of owners, the operations by owner fail:
    /// see [`can_list_owners`](Self::can_list_owners).
    pub fn new(store: impl SessionStore + 'static) -> Self {
        Self::with(Arc::new(store), Settings::default())
    }

    /// The builder of a manager over this store.
    pub fn builder(store: impl SessionStore + 'static) -> SessionManagerBuilder {
        SessionManagerBuilder::new(Arc::new(store))
    }

    /// The builder of a manager over a store that is already shared. Avoids the second `Arc` that
    /// [`builder`](Self::builder) would put around it.
    pub fn builder_shared(store: Arc<dyn SessionStore>) -> SessionManagerBuilder {
        SessionManagerBuilder::new(store)
    }

    pub(crate) fn with(store: Arc<dyn SessionStore>, settings: Settings) -> Self {
        let max_len = settings.max_len.min(store.max_data_len());
        let inner = Inner { store, settings, write_queues: WriteQueues::new(), max_len };
        Self { inner: Arc::new(inner), purpose: None }
    }

    /// The same manager, restricted to ids of this purpose, such as the ids in the cookie of this
    /// name.
    ///
    /// An id that was made for one purpose opens nothing for another one, although both may be in
    /// the same store. A `SessionLayer` does this with the name of its cookie.
    ///
    /// Sessions that are found by their owner or their key, as by
    /// [`sessions_of`](Self::sessions_of), [`logout_everywhere`](Self::logout_everywhere) and
    /// [`destroy`](Self::destroy), are found whatever their purpose.
    #[must_use]
    pub fn for_purpose(&self, name: &str) -> Self {
        Self { inner: Arc::clone(&self.inner), purpose: Some(Purpose::new(name)) }
    }

    /// The key of the session with this id, for the purpose of this manager. Opens no session.
    pub fn key_of(&self, id: &SessionId) -> SessionKey {
        self.purpose.as_ref().map_or_else(|| id.key(), |purpose| id.key_for(purpose))
    }

    /// A handle on a new session. The session is not stored, and has no id, until there is
    /// something to save.
    pub fn create(&self) -> Session {
        Session::new(self.clone(), None, Vec::new())
    }

    /// A handle on the session whose id the client presented, if any. Costs no I/O: the store is
    /// asked when something is read.
    ///
    /// An id that the store does not know is never adopted: the session is then a new one, and gets
    /// an id of its own when there is something to save.
    pub fn open(&self, presented: Option<SessionId>) -> Session {
        Session::new(self.clone(), presented, Vec::new())
    }

    /// As [`open`](Self::open), for a client that presented several ids where one is expected, as
    /// browsers do with two cookies of one name.
    ///
    /// The store is asked for all ids, in one batch, when something is read. Of the live sessions,
    /// the handle uses the one that began or logged in last, so the latest login always wins. A
    /// logout ends all of them.
    ///
    /// The caller must bound the number of ids.
    pub fn open_any(&self, presented: impl IntoIterator<Item = SessionId>) -> Session {
        let mut presented = presented.into_iter();
        let first = presented.next();
        Session::new(self.clone(), first, presented.collect())
    }

    /// Loads the session with this id, or returns `None` if no live session has it. Costs one read,
    /// at once.
    ///
    /// # Errors
    /// [`SessionError::Store`](crate::SessionError::Store). An outage is never `None`.
    pub async fn load(&self, id: &SessionId) -> Result<Option<Session>> {
        let session = self.open(Some(id.clone()));
        Ok(session.load().await?.then_some(session))
    }

    /// Ends the session under `key` for all that use it, and returns whether it existed: for a
    /// "your devices" page and for administration.
    ///
    /// # Errors
    /// [`SessionError::Store`](crate::SessionError::Store). Calling again is always safe.
    pub async fn destroy(&self, key: &SessionKey) -> Result<bool> {
        match self.store().delete(key, session_core::Expected::Any).await? {
            session_core::DeleteOutcome::Deleted => {
                self.tell(|| SessionEvent::Destroyed { key: *key });
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Reports every session that expires to the listeners of this manager, until the store is
    /// closed. Run it on a task of its own.
    ///
    /// Each manager that watches reports an expiry when the store frees the space. An expiry can be
    /// missed while the connection to the store is interrupted. A store whose watch reports only
    /// *that* a session has changed, as that of Redis does, reports no expiry.
    /// # Errors
    /// [`SessionError::Store`](crate::SessionError::Store) with [`ErrorKind::Config`] if the store
    /// has no watch.
    pub async fn watch_expiry(&self) -> Result<()> {
        let Some(watch) = self.store().watch() else {
            let error = Error::new(ErrorKind::Config, Operation::Watch);
            return Err(error.because("this store cannot tell when a session expires").into());
        };
        let mut events = watch.subscribe().await?;
        while let Some(event) = events.next().await {
            if let Event::Expired { key } = event {
                self.tell(|| SessionEvent::Expired { key });
            }
        }
        Ok(())
    }

    /// The store.
    pub fn store(&self) -> &dyn SessionStore {
        &*self.inner.store
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    pub(crate) fn write_queues(&self) -> &WriteQueues {
        &self.inner.write_queues
    }

    /// The maximum size of a session, in bytes.
    pub(crate) fn max_len(&self) -> usize {
        self.inner.max_len
    }

    pub(crate) fn tell(&self, event: impl FnOnce() -> SessionEvent) {
        let listeners = &self.settings().listeners;
        if !listeners.is_empty() {
            let event = event();
            for listener in listeners {
                listener(&event);
            }
        }
    }
}

impl fmt::Debug for SessionManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionManager")
            .field("store", &self.inner.store)
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}
