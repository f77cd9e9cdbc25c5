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
    changes::Changes,
    codec,
    snapshot::Snapshot,
    state::{Phase, State},
    twins::Twins,
};

/// One session, as one request or one conversation uses it. Clones are cheap and are the same
/// handle: a change through one is visible to the others.
///
/// **Loading is lazy.** Creating the handle costs no I/O. The first `async` call that needs the
/// session loads it, once. [`insert`](Self::insert), [`remove`](Self::remove) and
/// [`clear`](Self::clear) are local and not even `async`: they need nothing from the store, so they
/// can neither wait nor fail in an outage. Only [`save`](Self::save) can.
///
/// **Saving merges.** [`save`](Self::save) sends the keys that this handle has changed. If others
/// have changed other keys meanwhile, both changes are kept. For a value that depends on its
/// previous value, such as a counter, [`update`](Self::update) commits at once and is exact.
///
/// **An ended session stays ended.** After a logout, a login or a rotation elsewhere, every change
/// through this handle fails as [`Gone`](SessionError::Gone).
///
/// **A handle that outlives its request** (a WebSocket, a worker) answers reads from the session as
/// it was loaded, and so never notices a logout: [`refresh`](Self::refresh) asks the store again.
/// After [`response_sent`](Self::response_sent), the handle stores nothing that no client could
/// reach.
///
/// # Concurrency and cancellation
/// All calls may overlap. Calls that change the store take turns within a handle. A future that is
/// dropped leaves the handle usable; its change may be stored or not.
#[derive(Clone)]
pub struct Session(Arc<Handle>);

pub(crate) struct Handle {
    pub(crate) manager: SessionManager,
    /// Whether the client has presented an id.
    pub(crate) presented: bool,
    pub(crate) state: Mutex<State>,
    /// Held while a call loads the session from the store, or changes it there.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

impl Session {
    pub(crate) fn new(manager: SessionManager, presented: Option<SessionId>, twins: Vec<SessionId>) -> Self {
        let (is_presented, phase) = (presented.is_some(), presented.map_or(Phase::New, Phase::Unloaded));
        let twins = Twins::new(twins);
        let state =
            State { phase, twins, changes: Changes::default(), logged_out: false, response_sent: false };
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

    /// The value under `key`, or `None` if there is none: the value that this handle has set,
    /// otherwise the value that was there when it loaded the session.
    ///
    /// Costs one read of the store if the session is not loaded yet. After that, a number or a
    /// short text takes 60 to 90 ns; the rest of the session is neither decoded nor copied.
    ///
    /// # Errors
    /// [`SessionError::Decode`] if the value is not a `T`, [`SessionError::Store`] if the session
    /// had to be loaded and could not be, [`SessionError::Gone`] if the session is known to have
    /// ended.
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
    /// As [`get`](Self::get), except `Decode`.
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
    /// The value is encoded at once, and decoded as a test, so that a value that cannot be read
    /// back is an error where it is set.
    ///
    /// # Errors
    /// [`SessionError::Encode`] if the codec cannot carry the value, [`SessionError::TooLarge`] if
    /// the value alone exceeds the maximum size of a session. Nothing is changed then.
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

    /// Removes the value under `key` and returns it.
    ///
    /// As [`remove`](Self::remove), this is local until the next save: two requests that take the
    /// same value at the same time both get it.
    ///
    /// # Errors
    /// As [`get`](Self::get). Nothing is removed then.
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

    /// Removes all values, locally until the next [`save`](Self::save).
    ///
    /// The session itself stays, and so do its owner, its label, and values under other keys that
    /// others set meanwhile. To end the session, see [`logout`](Self::logout).
    pub fn clear(&self) {
        let State { phase, changes, .. } = &mut *self.0.state.lock();
        match phase {
            Phase::Live(live) => changes.clear(Some(&live.base.payload)),
            _ => changes.clear(None),
        }
    }

    /// Sets the application's name for the place where the session is used, such as "Firefox on
    /// Linux", for the list of [`sessions_of`](SessionManager::sessions_of). Local until the next
    /// [`save`](Self::save) or [`login`](Self::login).
    pub fn set_label(&self, label: &str) {
        self.0.state.lock().changes.set_label(Some(label.into()));
    }

    /// Gives this session its own timeouts, such as longer ones for "remember me". Local until the
    /// next [`save`](Self::save) or [`login`](Self::login).
    ///
    /// # Errors
    /// [`SessionError::Store`] with [`InvalidTtl`](session_core::ErrorKind::InvalidTtl) if no store
    /// can keep these timeouts.
    pub fn set_timeouts(&self, idle: Duration, absolute: Duration) -> Result<()> {
        let (idle, absolute) = (Ttl::new(idle)?, Ttl::new(absolute)?);
        self.0.state.lock().changes.set_timeouts(idle.as_duration(), absolute.as_duration());
        Ok(())
    }

    /// The owner of the session, if any.
    ///
    /// # Errors
    /// As [`contains`](Self::contains).
    pub async fn owner(&self) -> Result<Option<Owner>> {
        self.of_base(|base| base.owner.clone()).await.map(Option::flatten)
    }

    /// When the session began, or its owner logged in, by the clock of the node that handled it.
    /// `None` if nothing is stored yet.
    ///
    /// # Errors
    /// As [`contains`](Self::contains).
    pub async fn created(&self) -> Result<Option<SystemTime>> {
        self.of_base(|base| base.payload.created()).await
    }

    /// The remaining lifetime of the session if it is not used; `None` if nothing is stored yet.
    ///
    /// # Errors
    /// As [`contains`](Self::contains).
    pub async fn expires_in(&self) -> Result<Option<Duration>> {
        self.of_base(|base| base.expires_at.saturating_duration_since(Instant::now())).await
    }

    /// The highest [schema version](crate::SessionManagerBuilder::schema_version) of the
    /// application that has written to the session; `None` if nothing is stored yet.
    ///
    /// # Errors
    /// As [`contains`](Self::contains).
    pub async fn schema_version(&self) -> Result<Option<u16>> {
        self.of_base(|base| base.payload.schema_version()).await
    }

    async fn of_base<R>(&self, part: impl FnOnce(&Snapshot) -> R) -> Result<Option<R>> {
        self.load().await?;
        let state = self.0.state.lock();
        if let Phase::Ended = state.phase {
            return Err(state.gone());
        }
        Ok(state.base().map(part))
    }

    /// The session's id, if the session is known to be stored. Send it to the client only.
    pub fn id(&self) -> Option<SessionId> {
        match &self.0.state.lock().phase {
            Phase::Live(live) => Some(live.id.clone()),
            _ => None,
        }
    }

    /// The session's key, if the session is known to be stored. The key may appear in logs.
    pub fn key(&self) -> Option<SessionKey> {
        match &self.0.state.lock().phase {
            Phase::Live(live) => Some(live.key),
            _ => None,
        }
    }

    /// Whether this handle has unsaved changes.
    pub fn is_changed(&self) -> bool {
        !self.0.state.lock().changes.is_empty()
    }

    /// Whether the session was loaded, or does not have to be.
    pub fn is_loaded(&self) -> bool {
        !matches!(self.0.state.lock().phase, Phase::Unloaded(_) | Phase::Unknown { .. })
    }

    /// What has to be done about the client's cookie in the current state: call it when the request
    /// is done and saved.
    ///
    /// A session that has ended elsewhere removes no cookie: the client may have got a newer id
    /// already.
    pub fn cookie_change(&self) -> CookieChange {
        let state = self.0.state.lock();
        match &state.phase {
            Phase::Live(live) if live.presented => CookieChange::Keep,
            Phase::Live(live) => CookieChange::Set(live.id.clone()),
            _ if state.logged_out && self.0.presented => CookieChange::Remove,
            _ => CookieChange::Keep,
        }
    }

    /// Declares that the response which can carry the session's id to the client is being sent.
    ///
    /// The layer that serves a request calls this once, and then asks for the
    /// [`cookie_change`](Self::cookie_change) of that response. It applies to all clones.
    ///
    /// From then on the client can get no other id. A call that would need one fails as
    /// [`TooLate`](SessionError::TooLate) and stores nothing: saving or updating a session that is
    /// not stored yet, also one that was logged out, [`login`](Self::login) and
    /// [`rotate`](Self::rotate). If such a call was writing to the store at this moment, it ends
    /// the session there before it fails. A session whose id the client has can be read, saved,
    /// updated and logged out as before, for as long as a task keeps the handle.
    pub fn response_sent(&self) {
        self.0.state.lock().response_sent = true;
    }

    /// Loads the session unless that was done, and returns whether it exists.
    ///
    /// The other calls load it by themselves. Use this to notice an outage early, or to check
    /// whether an id is valid.
    ///
    /// # Errors
    /// [`SessionError::Store`]: the store could not be asked, or the session is damaged or of a
    /// newer format. [`SessionError::Gone`] if the session existed and has ended.
    pub async fn load(&self) -> Result<bool> {
        self.look(None, State::is_there).await
    }

    /// Loads the session again, even if it was loaded, and returns whether it exists.
    ///
    /// From then on the handle sees what others have changed, and whether the session has ended: by
    /// a logout, a login or a rotation elsewhere, or by its timeout. Unsaved changes of this handle
    /// stay.
    ///
    /// For handles that outlive a request, such as that of a WebSocket or a worker: all other reads
    /// answer from the session as it was loaded. Call it before acting on the session's rights, and
    /// at intervals as long as a logout may go unnoticed. Costs one read of the store. It does not
    /// renew the idle timeout; the next [`save`](Self::save) does.
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
    /// As [`load`](Self::load): [`SessionError::Gone`] if the session has ended,
    /// [`SessionError::Store`] in an outage, which says nothing about the session. With
    /// [`SameKey::Fail`], [`SessionError::SameKey`] if others have changed keys that this handle
    /// has changed, too; then the handle still sees the session as before.
    pub async fn refresh(&self) -> Result<bool> {
        let _turn = self.0.turn.lock().await;
        if self.is_loaded() {
            self.reload(self.0.manager.settings().same_key).await?;
        }
        self.load_in_turn().await
    }

    /// Calls `look` on the state, after the session was loaded if needed: see [`State::unseen`].
    async fn look<T>(&self, key: Option<&str>, look: impl FnOnce(&State) -> Result<T>) -> Result<T> {
        let (turn, unseen) = {
            let state = self.0.state.lock();
            let Some(id) = state.unseen(key) else { return look(&state) };
            // `turn` is usually free. Then there is no queue to join, and the state need not be
            // checked again.
            (self.0.turn.try_lock(), self.0.manager.key_of(id))
        };
        if let Ok(_turn) = turn {
            look(&*self.ask(unseen).await?)
        } else {
            // Boxed to keep the rarely needed lock out of this future.
            let _turn = Box::pin(self.0.turn.lock()).await;
            self.load_in_turn().await?;
            look(&self.0.state.lock())
        }
    }

    /// As [`load`](Self::load). The caller holds `turn`.
    pub(crate) async fn load_in_turn(&self) -> Result<bool> {
        let unseen = {
            let state = self.0.state.lock();
            let Some(id) = state.unseen(None) else { return state.is_there() };
            self.0.manager.key_of(id)
        };
        self.ask(unseen).await?.is_there()
    }

    /// Loads the live session again. The caller holds `turn`.
    pub(crate) async fn reload(&self, policy: SameKey) -> Result<()> {
        let Some(key) = self.0.state.lock().live_key() else { return Ok(()) };
        let asked = Instant::now();
        let record = self.0.manager.store().read(&key).await?;
        let base = self.base_of(record, asked)?;
        let mut state = self.0.state.lock();
        let Some(base) = base else {
            state.phase = Phase::Ended;
            return Err(state.gone());
        };
        if policy == SameKey::Fail {
            state.refuse_same_keys(&base.payload)?;
        }
        state.rebase(base);
        Ok(())
    }

    /// Loads the session for the first time, and returns the resulting state. The caller holds
    /// `turn`.
    async fn ask(&self, key: SessionKey) -> Result<MutexGuard<'_, State>> {
        if self.0.state.lock().twins.are_unseen() {
            // Boxed because it is rarely needed.
            return Box::pin(self.ask_for_twins()).await;
        }
        let asked = Instant::now();
        let record = self.0.manager.store().read(&key).await?;
        self.take_in(key, record, asked)
    }

    /// Records what the store returned. Separate from [`ask`](Self::ask), so that it takes no space
    /// in the future.
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

    /// The session in a record, unless its absolute timeout has passed: another node may have given
    /// it a longer time than this one allows.
    fn base_of(&self, record: Option<Record>, asked: Instant) -> Result<Option<Box<Snapshot>>> {
        let base = record.map(|record| Snapshot::of(record, asked)).transpose()?;
        Ok(base.filter(|base| !self.0.manager.settings().is_over(base.payload.meta())))
    }
}

impl fmt::Debug for Session {
    /// Omits values and ids: they are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state.lock();
        let phase = match state.phase {
            Phase::Unloaded(_) => "not loaded",
            Phase::New => "not stored",
            Phase::Live(_) => "live",
            Phase::Unknown { .. } => "to be loaded again",
            Phase::Ended => "ended",
        };
        let key = state.base().and_then(|_| match &state.phase {
            Phase::Live(live) => Some(live.key),
            _ => None,
        });
        f.debug_struct("Session")
            .field("phase", &phase)
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
