use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use parking_lot::{Mutex, MutexGuard};
use serde::de::DeserializeOwned;
use session_core::{Owner, Record, SessionId, SessionKey, Ttl};

use crate::{
    CookieChange, Result, SameKey, SessionError, SessionManager, SessionValue,
    base::Base,
    changes::Changes,
    codec,
    state::{Link, State},
    twins::Twins,
};

/// One session, as one request or one conversation uses it. Clones are cheap, and are the same handle: what one changes, the others see.
///
/// **Nothing is asked before something is read.** The handle is made without I/O and loads the session at the first
/// `async` call that has to know it, once. [`insert`](Self::insert), [`remove`](Self::remove) and [`clear`](Self::clear) are local and not even
/// `async`: they have to know nothing, so they can neither wait nor meet an outage, and only [`save`](Self::save) can.
///
/// **Saving merges.** [`save`](Self::save) sends the keys that this handle has changed. If others have changed other keys meanwhile, both
/// changes are kept. For a value that depends on what it was, such as a counter, [`update`](Self::update) commits at once and is exact.
///
/// **What has ended stays ended.** After a logout, a login or a rotation elsewhere, every change through this handle fails as
/// [`Gone`](SessionError::Gone).
///
/// **A handle that outlives its request** (a WebSocket, a worker) answers reads from what was loaded once, and so never notices a logout:
/// [`refresh`](Self::refresh) asks the store again. After [`response_sent`](Self::response_sent) it stores nothing that no client could reach.
///
/// # Concurrency and cancellation
/// All calls may overlap. Those that change the store take turns within a handle. A future that is dropped leaves the handle
/// usable; what it was about to store may be stored or not.
#[derive(Clone)]
pub struct Session(Arc<Handle>);

pub(crate) struct Handle {
    pub(crate) manager: SessionManager,
    /// Whether the client has presented an id.
    pub(crate) presented: bool,
    pub(crate) state: Mutex<State>,
    /// Held while the store is asked to change something, or to show the session.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

impl Session {
    pub(crate) fn new(manager: SessionManager, presented: Option<SessionId>, twins: Vec<SessionId>) -> Self {
        let (is_presented, link) = (presented.is_some(), presented.map_or(Link::Fresh, Link::Presented));
        let twins = Twins::new(twins);
        let state =
            State { link, twins, changes: Changes::default(), logged_out: false, response_sent: false };
        Self(Arc::new(Handle {
            manager,
            presented: is_presented,
            state: Mutex::new(state),
            turn: tokio::sync::Mutex::new(()),
        }))
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.0
    }

    /// The value under `key`, or `None` if there is none: what this handle has set, else what was there when it loaded the session.
    ///
    /// One read of the store if the session is not loaded yet; then 60 to 90 ns for a number or a short text, and the rest of the session is neither decoded nor copied.
    ///
    /// # Errors
    /// [`SessionError::Decode`] if the value is no `T`, [`SessionError::Store`] if the session had to be loaded and could not be,
    /// [`SessionError::Gone`] if it is known to have ended.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        self.look(Some(key), |state| {
            let stored = state.stored(key)?;
            stored.map(|stored| codec::decode_stored(key, stored)).transpose()
        })
        .await
    }

    /// Whether there is a value under `key`.
    ///
    /// # Errors
    /// As [`get`](Self::get), but for `Decode`.
    pub async fn contains(&self, key: &str) -> Result<bool> {
        self.look(Some(key), |state| Ok(state.stored(key)?.is_some())).await
    }

    /// All keys with a value, ascending.
    ///
    /// # Errors
    /// As [`contains`](Self::contains).
    pub async fn keys(&self) -> Result<Vec<String>> {
        self.load().await?;
        Ok(self.0.state.lock().keys())
    }

    /// Sets the value under `key`, locally until the next [`save`](Self::save).
    ///
    /// The value is encoded, and decoded for a test, here and now, so that what cannot be read back is an error in the place where it comes
    /// from.
    ///
    /// # Errors
    /// [`SessionError::Encode`] if the codec cannot carry the value, [`SessionError::TooLarge`] if it alone is longer than a session
    /// may be. Then nothing is changed.
    pub fn insert<T: SessionValue + ?Sized>(&self, key: &str, value: &T) -> Result<()> {
        let manager = &self.0.manager;
        let codec = manager.settings().codec;
        let bytes = codec.encode_checked(key, value)?;
        let (len, max) = (bytes.len(), manager.max_len());
        if len > max {
            return Err(SessionError::TooLarge { len, max, largest: key.to_owned() });
        }
        self.0.state.lock().changes.set(key, codec.tag(), bytes);
        Ok(())
    }

    /// Removes the value under `key`, if there is one, locally until the next [`save`](Self::save).
    pub fn remove(&self, key: &str) {
        self.0.state.lock().changes.remove(key);
    }

    /// Removes the value under `key` and returns what it was. As [`remove`](Self::remove), this is local until the next save: two requests that
    /// take the same value at the same time both get it.
    ///
    /// # Errors
    /// As [`get`](Self::get); then nothing is removed.
    pub async fn take<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        self.load().await?;
        let mut state = self.0.state.lock();
        let stored = state.stored(key)?;
        let value = stored.map(|stored| codec::decode_stored(key, stored)).transpose()?;
        if value.is_some() {
            state.changes.remove(key);
        }
        Ok(value)
    }

    /// Removes all values, locally until the next [`save`](Self::save). The session itself stays, and so do its owner, its label, and values under
    /// other keys that others set meanwhile; to end it, see [`logout`](Self::logout).
    pub fn clear(&self) {
        let State { link, changes, .. } = &mut *self.0.state.lock();
        match link {
            Link::Live(live) => changes.clear(Some(&live.base.payload)),
            _ => changes.clear(None),
        }
    }

    /// What the application calls the place where the session is used, such as "Firefox on Linux", for the list of
    /// [`sessions_of`](SessionManager::sessions_of). Local until the next [`save`](Self::save) or [`login`](Self::login).
    pub fn set_label(&self, label: &str) {
        self.0.state.lock().changes.set_label(Some(label.into()));
    }

    /// Gives this session timeouts of its own, such as longer ones for "remember me". Local until the next [`save`](Self::save) or
    /// [`login`](Self::login).
    ///
    /// # Errors
    /// [`SessionError::Store`] with [`InvalidTtl`](session_core::ErrorKind::InvalidTtl) if no store can keep these.
    pub fn set_timeouts(&self, idle: Duration, absolute: Duration) -> Result<()> {
        let (idle, absolute) = (Ttl::new(idle)?, Ttl::new(absolute)?);
        self.0.state.lock().changes.set_timeouts(idle.as_duration(), absolute.as_duration());
        Ok(())
    }

    /// Whose session it is, if anybody's.
    ///
    /// # Errors
    /// As [`contains`](Self::contains).
    pub async fn owner(&self) -> Result<Option<Owner>> {
        self.of_base(|base| base.owner.clone()).await.map(Option::flatten)
    }

    /// When the session began, or its owner logged in; `None` if nothing is stored yet. By the clock of the node that did it.
    ///
    /// # Errors
    /// As [`contains`](Self::contains).
    pub async fn created(&self) -> Result<Option<SystemTime>> {
        self.of_base(|base| base.payload.created()).await
    }

    /// How long the session lives if nobody uses it; `None` if nothing is stored yet.
    ///
    /// # Errors
    /// As [`contains`](Self::contains).
    pub async fn expires_in(&self) -> Result<Option<Duration>> {
        self.of_base(|base| base.expires_at.saturating_duration_since(Instant::now())).await
    }

    /// The highest [schema version](crate::SessionManagerBuilder::schema_version) of the application that has written to it; `None` if
    /// nothing is stored yet.
    ///
    /// # Errors
    /// As [`contains`](Self::contains).
    pub async fn schema_version(&self) -> Result<Option<u16>> {
        self.of_base(|base| base.payload.schema_version()).await
    }

    async fn of_base<R>(&self, part: impl FnOnce(&Base) -> R) -> Result<Option<R>> {
        self.load().await?;
        let state = self.0.state.lock();
        if let Link::Gone = state.link {
            return Err(state.gone());
        }
        Ok(state.base().map(part))
    }

    /// The session's id, for the client and nobody else, if it is known to be stored.
    pub fn id(&self) -> Option<SessionId> {
        match &self.0.state.lock().link {
            Link::Live(live) => Some(live.id.clone()),
            _ => None,
        }
    }

    /// The session's key, which may stand in logs, if it is known to be stored.
    pub fn key(&self) -> Option<SessionKey> {
        match &self.0.state.lock().link {
            Link::Live(live) => Some(live.key),
            _ => None,
        }
    }

    /// Whether this handle holds changes that are not saved.
    pub fn is_changed(&self) -> bool {
        !self.0.state.lock().changes.is_empty()
    }

    /// Whether the store was asked for this session, or would not have to be.
    pub fn is_loaded(&self) -> bool {
        !matches!(self.0.state.lock().link, Link::Presented(_) | Link::Unsure { .. })
    }

    /// What has to be done about the client's cookie, as things are now: ask when the request is done and saved.
    ///
    /// A session that has ended elsewhere removes no cookie: the client may have been told a newer id already.
    pub fn cookie_change(&self) -> CookieChange {
        let state = self.0.state.lock();
        match &state.link {
            Link::Live(live) if live.presented => CookieChange::Keep,
            Link::Live(live) => CookieChange::Set(live.id.clone()),
            _ if state.logged_out && self.0.presented => CookieChange::Remove,
            _ => CookieChange::Keep,
        }
    }

    /// Says that the response which can carry the session's id to the client is on its way: what serves a request calls this once, and then
    /// asks for the [`cookie_change`](Self::cookie_change) of that response. All clones know of it.
    ///
    /// From then on the client can be told no other id. Whatever would need one fails as [`TooLate`](SessionError::TooLate) and stores
    /// nothing: saving or updating a session that is not stored yet, also one that was logged out, [`login`](Self::login) and
    /// [`rotate`](Self::rotate). What was on its way to the store at this moment is ended there before it fails. A session
    /// whose id the client has can be read, saved, updated and logged out as before, for as long as a task keeps the handle.
    pub fn response_sent(&self) {
        self.0.state.lock().response_sent = true;
    }

    /// Asks the store for the session unless that was done, and says whether it is there.
    ///
    /// The other calls load it by themselves; this is for those who want to know an outage early, or whether an id is good.
    ///
    /// # Errors
    /// [`SessionError::Store`]: the store could not be asked, or the session is damaged or of a newer format.
    /// [`SessionError::Gone`] if it was there and has ended.
    pub async fn load(&self) -> Result<bool> {
        self.look(None, State::is_there).await
    }

    /// Asks the store for the session again, also if that was done, and says whether it is there: what others have changed is seen from then on,
    /// and that it has ended, by a logout, a login or a rotation elsewhere, or its timeout. What this handle has changed and not saved stays.
    ///
    /// For handles that outlive a request, such as that of a WebSocket or a worker: all other reads answer from what was loaded once. Call it
    /// before acting on the session's rights, and in intervals as long as a logout may go unnoticed. One read of the store; it does not renew
    /// the idle timeout, which the next [`save`](Self::save) does.
    ///
    /// ```
    /// # use session_manager::{SessionError, SessionManager};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> session_manager::Result<()> {
    /// # let sessions = SessionManager::new(session_memory::MemoryStore::new());
    /// # let session = sessions.create();
    /// # session.insert("n", &1)?;
    /// # session.save().await?;
    /// # let elsewhere = sessions.load(&session.id().expect("stored")).await?.expect("live");
    /// elsewhere.logout().await?;
    /// assert!(session.load().await?, "it was loaded before, and that is what this knows");
    /// match session.refresh().await {
    ///     Err(SessionError::Gone { .. }) => {} // close the connection
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`load`](Self::load): [`SessionError::Gone`] if it has ended, [`SessionError::Store`] in an outage, which says nothing about the session. With
    /// [`SameKey::Fail`], [`SessionError::SameKey`] if others have changed what this handle has changed, too; then it still sees the session as before.
    pub async fn refresh(&self) -> Result<bool> {
        let _turn = self.0.turn.lock().await;
        if self.is_loaded() {
            self.reload(self.0.manager.settings().same_key).await?;
        }
        self.load_in_turn().await
    }

    /// What `look` sees in the state, after the store was asked if that has to be: see [`State::unseen`].
    async fn look<T>(&self, key: Option<&str>, look: impl FnOnce(&State) -> Result<T>) -> Result<T> {
        let (turn, unseen) = {
            let state = self.0.state.lock();
            let Some(id) = state.unseen(key) else { return look(&state) };
            // Nobody else has it, as a rule; then there is no queue to join, and nothing to look at again.
            (self.0.turn.try_lock(), self.0.manager.key_of(id))
        };
        if let Ok(_turn) = turn {
            look(&*self.ask(unseen).await?)
        } else {
            // Boxed, so that there is no place for it in a future that seldom needs it.
            let _turn = Box::pin(self.0.turn.lock()).await;
            self.load_in_turn().await?;
            look(&self.0.state.lock())
        }
    }

    /// As [`load`](Self::load), for those who hold the turn.
    pub(crate) async fn load_in_turn(&self) -> Result<bool> {
        let unseen = {
            let state = self.0.state.lock();
            let Some(id) = state.unseen(None) else { return state.is_there() };
            self.0.manager.key_of(id)
        };
        self.ask(unseen).await?.is_there()
    }

    /// Asks the store for the session that is live as far as is known; for those who hold the turn.
    pub(crate) async fn reload(&self, policy: SameKey) -> Result<()> {
        let Some(key) = self.0.state.lock().live_key() else { return Ok(()) };
        let asked = Instant::now();
        let record = self.0.manager.store().read(&key).await?;
        let base = self.base_of(record, asked)?;
        let mut state = self.0.state.lock();
        let Some(base) = base else {
            state.link = Link::Gone;
            return Err(state.gone());
        };
        if policy == SameKey::Fail {
            state.refuse_same_keys(&base.payload)?;
        }
        state.rebase(base);
        Ok(())
    }

    /// Asks the store for the session, which nobody has seen, and returns what is known then; for those who hold the turn.
    async fn ask(&self, key: SessionKey) -> Result<MutexGuard<'_, State>> {
        if self.0.state.lock().twins.are_unseen() {
            // Boxed, as there are seldom any.
            return Box::pin(self.ask_for_twins()).await;
        }
        let asked = Instant::now();
        let record = self.0.manager.store().read(&key).await?;
        self.take_in(key, record, asked)
    }

    /// Takes note of what the store has shown. Apart from [`ask`](Self::ask), so that none of it has a place in the future.
    pub(crate) fn take_in(
        &self,
        key: SessionKey,
        record: Option<Record>,
        asked: Instant,
    ) -> Result<MutexGuard<'_, State>> {
        let base = self.base_of(record, asked)?;
        let mut state = self.0.state.lock();
        state.found(key, base);
        Ok(state)
    }

    /// The session in a record, unless its absolute timeout has passed: another node may have given it longer than this one allows.
    fn base_of(&self, record: Option<Record>, asked: Instant) -> Result<Option<Box<Base>>> {
        let base = record.map(|record| Base::of(record, asked)).transpose()?;
        Ok(base.filter(|base| !self.0.manager.settings().is_over(base.payload.meta())))
    }
}

impl fmt::Debug for Session {
    /// Without values or ids: they are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state.lock();
        let link = match state.link {
            Link::Presented(_) => "not loaded",
            Link::Fresh => "not stored",
            Link::Live(_) => "live",
            Link::Unsure { .. } => "to be loaded again",
            Link::Gone => "ended",
        };
        let key = state.base().and_then(|_| match &state.link {
            Link::Live(live) => Some(live.key),
            _ => None,
        });
        f.debug_struct("Session")
            .field("link", &link)
            .field("key", &key)
            .field("changed", &!state.changes.is_empty())
            .finish_non_exhaustive()
    }
}

const _: fn() = || {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    shared::<Session>();
    shared::<SessionManager>();
};
