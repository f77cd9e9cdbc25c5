use std::time::Instant;

use serde::{Serialize, de::DeserializeOwned};
use session_core::{SessionKey, Version};

use crate::{
    Result, SameKey, Saved, Session, SessionError,
    base::Base,
    codec,
    commit::Sent,
    line::Place,
    payload::Stored,
    state::{Extra, Link, Part, Prepared, State},
};

impl Session {
    /// Replaces the value under `key` by what `f` makes of it, in the store and at once, and returns the new value.
    ///
    /// `f` gets the current value, or `None`, and is called again whenever somebody else was faster, so of any number of concurrent
    /// updates each counts exactly once. It should have no effects of its own. The value may be one that another task of this process is about to store:
    /// what `f` makes of it is stored only if that one was.
    ///
    /// Only this key is stored; other changes of the handle wait for [`save`](Self::save). What the handle has set under this key before counts as
    /// the current value. If nothing is stored yet, the session is created.
    ///
    /// ```
    /// # use session_manager::{SessionManager, Result};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// # let session = SessionManager::new(session_memory::MemoryStore::new()).create();
    /// let visits = session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1).await?;
    /// assert_eq!(visits, 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`SessionError::Gone`], [`SessionError::TooLate`], [`SessionError::Decode`] if the current value is no `T`, [`SessionError::Encode`],
    /// [`SessionError::TooLarge`], [`SessionError::Contended`], [`SessionError::Store`]. Nothing has changed then, unless the error says
    /// that it [may have been applied](SessionError::may_have_applied): only if a reply was lost, and the store could not be asked again.
    pub async fn update<T, F>(&self, key: &str, mut f: F) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> T,
    {
        self.try_update(key, |current| Ok::<T, SessionError>(f(current))).await
    }

    /// As [`update`](Self::update), with an `f` that may refuse: its error is returned, and nothing is changed. It refuses because of a value that is
    /// stored: if it did so because of one that is not stored yet, it is asked again.
    ///
    /// ```
    /// # use session_manager::{SessionError, SessionManager};
    /// # #[derive(Debug)] enum Refused { Empty, Session(SessionError) }
    /// # impl From<SessionError> for Refused { fn from(error: SessionError) -> Self { Self::Session(error) } }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), SessionError> {
    /// # let session = SessionManager::new(session_memory::MemoryStore::new()).create();
    /// let spent = session
    ///     .try_update("credits", |credits: Option<u32>| credits.unwrap_or(0).checked_sub(1).ok_or(Refused::Empty))
    ///     .await;
    /// assert!(matches!(spent, Err(Refused::Empty)));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`update`](Self::update), and those of `f`.
    pub async fn try_update<T, F, E>(&self, key: &str, mut f: F) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> Result<T, E>,
        E: From<SessionError>,
    {
        let handle = self.handle();
        let manager = &handle.manager;
        let settings = manager.settings();
        let _turn = handle.turn.lock().await;
        self.load_in_turn().await?;
        let live = handle.state.lock().live_key();
        let mut place = match live {
            Some(key) => manager.lines().join_if_contended(&key).await,
            None => None,
        };
        for attempt in 1..=settings.max_attempts {
            if place.as_ref().is_some_and(Place::looks_first) {
                self.reload(SameKey::LastWriterWins).await?;
            }
            let ground = place.as_ref().and_then(Place::ground);
            let Next { target, prepared, new, stamp } = match self.next(ground.as_deref(), key, &mut f) {
                Ok(next) => next,
                // What it stands on may never come to be: what `f` thinks of it counts only if it is there.
                Err(_) if ground.is_some() => {
                    place = None;
                    self.reload(SameKey::LastWriterWins).await?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let Some((session_key, expected)) = target else {
                let Saved::Created = self.store_new(prepared).await? else { continue };
                handle.state.lock().changes.saved_key(key, stamp);
                return Ok(new);
            };
            let sent_at = Instant::now();
            let done = manager.send_in_turn(&session_key, &prepared, expected, place.take()).await;
            place = done.place;
            if handle.state.lock().settle_update(key, stamp, prepared, done.sent?, sent_at)? {
                return Ok(new);
            }
            manager.stand_in_line(&session_key, attempt, done.at_once, &mut place).await;
        }
        Err(SessionError::Contended { attempts: settings.max_attempts }.into())
    }

    /// What an update would write on top of `ground`, or, without one, of what was seen; for those who hold the turn and have loaded the session.
    fn next<T, F, E>(&self, ground: Option<&Base>, key: &str, f: &mut F) -> Result<Next<T>, E>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> Result<T, E>,
        E: From<SessionError>,
    {
        let handle = self.handle();
        let settings = handle.manager.settings();
        let (current, stamp) = {
            let state = handle.state.lock();
            if let Link::Fresh = state.link {
                state.may_give_new_id()?;
            }
            let stored = state.stored_on(ground, key)?;
            let current = stored.map(|stored| codec::decode_stored(key, stored)).transpose()?;
            (current, state.changes.stamp())
        };
        let new = f(current)?;
        let bytes = settings.codec.encode_checked(key, &new)?;
        let value = Stored { codec: settings.codec.tag(), bytes: &bytes };
        let state = handle.state.lock();
        let part = Part::Key(key, value);
        let mut prepared =
            state.prepare(ground, settings, handle.manager.max_len(), &part, &Extra::default())?;
        // The other changes are not in it.
        prepared.stamp = 0;
        let target = match &state.link {
            Link::Live(live) => Some((live.key, ground.unwrap_or(&live.base).version)),
            Link::Gone => return Err(state.gone().into()),
            _ => None,
        };
        Ok(Next { target, prepared, new, stamp })
    }
}

/// What an update is to send.
struct Next<T> {
    /// The session, and the version that it must have; `None` if nothing is stored yet.
    target: Option<(SessionKey, Version)>,
    prepared: Prepared,
    new: T,
    /// Up to which change of this handle it is.
    stamp: u64,
}

impl State {
    /// Takes note of what came of an update of `key`; `false` if it is to be tried again.
    fn settle_update(
        &mut self,
        key: &str,
        stamp: u64,
        prepared: Prepared,
        sent: Sent,
        sent_at: Instant,
    ) -> Result<bool> {
        match sent {
            Sent::Written => self.wrote(prepared, sent_at),
            Sent::Superseded(now) => self.rebase(now),
            Sent::Gone => {
                self.link = Link::Gone;
                return Err(self.gone());
            }
            Sent::Conflict(now) => {
                self.rebase(now);
                return Ok(false);
            }
        }
        self.changes.saved_key(key, stamp);
        Ok(true)
    }
}
