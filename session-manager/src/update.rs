use std::time::Instant;

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Result, Saved, Session, SessionError, codec,
    commit::Sent,
    payload::Stored,
    state::{Extra, Link, Part, Prepared, State},
};

impl Session {
    /// Replaces the value under `key` by what `f` makes of it, in the store and at once, and returns the new value.
    ///
    /// `f` gets the current value, or `None`, and is called again whenever somebody else was faster, so of any number of concurrent
    /// updates each counts exactly once. It should have no effects of its own.
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
    /// [`SessionError::Gone`], [`SessionError::Decode`] if the current value is no `T`, [`SessionError::Encode`],
    /// [`SessionError::TooLarge`], [`SessionError::Contended`], [`SessionError::Store`]. Nothing has changed then, unless the error says
    /// that it [may have been applied](SessionError::may_have_applied): only if a reply was lost, and the store could not be asked again.
    pub async fn update<T, F>(&self, key: &str, mut f: F) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> T,
    {
        self.try_update(key, |current| Ok::<T, SessionError>(f(current))).await
    }

    /// As [`update`](Self::update), with an `f` that may refuse: its error is returned, and nothing is changed.
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
        let mut among_rivals = None;
        for attempt in 1..=settings.max_attempts {
            let (current, stamp) = self.current(key)?;
            let new = f(current)?;
            let bytes = settings.codec.encode_checked(key, &new)?;
            let value = Stored { codec: settings.codec.tag(), bytes: &bytes };
            let (target, prepared) = {
                let state = handle.state.lock();
                let part = Part::Key(key, value);
                let mut prepared = state.prepare(settings, manager.max_len(), &part, &Extra::default())?;
                // The other changes are not in it.
                prepared.stamp = 0;
                match &state.link {
                    Link::Live(live) => (Some((live.key, live.base.version)), prepared),
                    Link::Gone => return Err(state.gone().into()),
                    _ => (None, prepared),
                }
            };
            let Some((session_key, expected)) = target else {
                let Saved::Created = self.store_new(prepared).await? else { continue };
                handle.state.lock().changes.saved_key(key, stamp);
                return Ok(new);
            };
            if attempt == 1 {
                among_rivals = manager.turns().take_if_contended(&session_key).await;
            }
            let sent_at = Instant::now();
            let sent = manager.send(&session_key, prepared.write.clone(), expected).await?;
            if handle.state.lock().settle_update(key, stamp, prepared, sent, sent_at)? {
                return Ok(new);
            }
            manager.yield_to_rivals(&session_key, attempt, &mut among_rivals).await;
        }
        Err(SessionError::Contended { attempts: settings.max_attempts }.into())
    }

    /// The current value, and up to which change of this handle it is; for those who hold the turn and have loaded the session.
    fn current<T: DeserializeOwned>(&self, key: &str) -> Result<(Option<T>, u64)> {
        let state = self.handle().state.lock();
        let stamp = state.changes.stamp();
        let stored = state.stored(key)?;
        Ok((stored.map(|stored| codec::decode_stored(key, stored)).transpose()?, stamp))
    }
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
