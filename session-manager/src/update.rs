use std::time::Instant;

use serde::{Serialize, de::DeserializeOwned};
use session_core::{SessionKey, Version};

use crate::{
    Result, SameKey, Saved, Session, SessionError, codec,
    commit_outcome::CommitOutcome,
    payload::Stored,
    snapshot::Snapshot,
    state::{Phase, Prepared, State, WriteOptions, WriteScope},
    write_queue::WriteTurn,
};

impl Session {
    /// Replaces the value under `key` by the result of `f`, in the store and at once, and returns
    /// the new value.
    ///
    /// `f` gets the current value, or `None`. It is called again after each conflict with another
    /// writer, so each of any number of concurrent updates counts exactly once. It should have no
    /// side effects. The current value may be one that another task of this process is about to
    /// store: the result of `f` is stored only if that value was.
    ///
    /// Only this key is stored; other changes of the handle wait for [`save`](Self::save). A value
    /// that the handle has set under this key before counts as the current value. If nothing is
    /// stored yet, the session is created.
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
    /// [`SessionError::Gone`], [`SessionError::TooLate`], [`SessionError::Decode`] if the current
    /// value is not a `T`, [`SessionError::Encode`], [`SessionError::TooLarge`],
    /// [`SessionError::Contended`], [`SessionError::Store`]. Nothing has changed then, unless the
    /// error [may have been applied](SessionError::may_have_applied): only if a reply was lost, and
    /// the store could not be asked again.
    pub async fn update<T, F>(&self, key: &str, mut f: F) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> T,
    {
        self.try_update(key, |current| Ok::<T, SessionError>(f(current))).await
    }

    /// As [`update`](Self::update), with an `f` that may refuse: its error is returned, and nothing
    /// is changed.
    ///
    /// A refusal counts only if `f` was given a stored value. If the value was not stored yet, `f`
    /// is called again.
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
            Some(key) => manager.write_queues().join_if_contended(&key).await,
            None => None,
        };
        for attempt in 1..=settings.max_attempts {
            if place.as_ref().is_some_and(WriteTurn::looks_first) {
                self.reload(SameKey::LastWriterWins).await?;
            }
            let ground = place.as_ref().and_then(WriteTurn::ground);
            let Next { target, prepared, new, change_seq } = match self.next(ground.as_deref(), key, &mut f) {
                Ok(next) => next,
                // The write in flight that this one builds on may fail. An error of `f` counts only
                // for a stored value.
                Err(_) if ground.is_some() => {
                    place = None;
                    self.reload(SameKey::LastWriterWins).await?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let Some((session_key, expected)) = target else {
                let Saved::Created = self.store_new(prepared).await? else { continue };
                handle.state.lock().changes.saved_key(key, change_seq);
                return Ok(new);
            };
            let sent_at = Instant::now();
            let done = manager.send_in_turn(&session_key, &prepared, expected, place.take()).await;
            place = done.place;
            if handle.state.lock().settle_update(key, change_seq, prepared, done.sent?, sent_at)? {
                return Ok(new);
            }
            manager.await_turn(&session_key, attempt, done.at_once, &mut place).await;
        }
        Err(SessionError::Contended { attempts: settings.max_attempts }.into())
    }

    /// Prepares an update on top of `ground`, or, without it, of the session as it was loaded. The
    /// caller holds `turn` and has loaded the session.
    fn next<T, F, E>(&self, ground: Option<&Snapshot>, key: &str, f: &mut F) -> Result<Next<T>, E>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> Result<T, E>,
        E: From<SessionError>,
    {
        let handle = self.handle();
        let settings = handle.manager.settings();
        let (current, change_seq) = {
            let state = handle.state.lock();
            if let Phase::New = state.phase {
                state.may_give_new_id()?;
            }
            let stored = state.stored_on(ground, key)?;
            let current = stored.map(|stored| codec::decode_stored(key, stored)).transpose()?;
            (current, state.changes.change_seq())
        };
        let new = f(current)?;
        let bytes = settings.codec.encode_checked(key, &new)?;
        let value = Stored { codec: settings.codec.tag(), bytes: &bytes };
        let state = handle.state.lock();
        let part = WriteScope::Key(key, value);
        let mut prepared =
            state.prepare(ground, settings, handle.manager.max_len(), &part, &WriteOptions::default())?;
        // The write does not contain the other changes.
        prepared.change_seq = 0;
        let target = match &state.phase {
            Phase::Live(live) => Some((live.key, ground.unwrap_or(&live.base).version)),
            Phase::Ended => return Err(state.gone().into()),
            _ => None,
        };
        Ok(Next { target, prepared, new, change_seq })
    }
}

/// The next write of an update.
struct Next<T> {
    /// The session, and the version that it must have; `None` if nothing is stored yet.
    target: Option<(SessionKey, Version)>,
    prepared: Prepared,
    new: T,
    /// The number of the latest change of this handle that the update includes.
    change_seq: u64,
}

impl State {
    /// Records the outcome of an update of `key`. Returns `false` if it has to be tried again.
    fn settle_update(
        &mut self,
        key: &str,
        change_seq: u64,
        prepared: Prepared,
        sent: CommitOutcome,
        sent_at: Instant,
    ) -> Result<bool> {
        match sent {
            CommitOutcome::Written => self.wrote(prepared, sent_at),
            CommitOutcome::CommittedThenReplaced(now) => self.rebase(now),
            CommitOutcome::Ended => {
                self.phase = Phase::Ended;
                return Err(self.gone());
            }
            CommitOutcome::Conflict(now) => {
                self.rebase(now);
                return Ok(false);
            }
        }
        self.changes.saved_key(key, change_seq);
        Ok(true)
    }
}
