use std::{pin::Pin, time::Instant};

use session_core::{Owner, OwnerChange, RenameOutcome, SessionId, SessionKey};

use crate::{
    Result, Session, SessionError, SessionEvent,
    snapshot::Snapshot,
    state::{Live, Phase, Prepared, State, WriteOptions, WriteScope},
};

/// A login, which starts when it is awaited: see [`Session::login`].
#[derive(Debug)]
#[must_use = "a login does nothing until it is awaited"]
pub struct Login<'a> {
    session: &'a Session,
    owner: Owner,
    kept: &'a [&'a str],
}

impl<'a> Login<'a> {
    /// If the session belongs to another owner, keeps the values under these keys, and only these;
    /// otherwise all values stay. Concurrent changes of these keys by others are kept.
    pub fn keep(mut self, keys: &'a [&'a str]) -> Self {
        self.kept = keys;
        self
    }

    async fn run(self) -> Result<()> {
        let Self { session, owner, kept } = self;
        let manager = &session.handle().manager;
        // An owner that is already logged in here needs no further place, so the session must be
        // loaded first.
        session.load().await?;
        manager.refuse_early(&owner, session.key().as_ref()).await?;
        {
            let _turn = session.handle().turn.lock().await;
            let extra = WriteOptions { owner: OwnerChange::Set(owner.clone()), restart: true, kept };
            session.move_to_new_id(&extra).await?;
        }
        session.keep_limit(&owner).await
    }
}

impl<'a> IntoFuture for Login<'a> {
    type Output = Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl Session {
    /// Makes `owner` the session's owner, under a new id, and stores all unsaved changes of this
    /// handle, in one step. Call it after checking the password.
    ///
    /// The old id is invalid from then on (an attacker may have planted it). Requests that loaded
    /// the session before can change nothing any more: they fail as [`Gone`](SessionError::Gone).
    /// The [absolute timeout](crate::SessionManagerBuilder::absolute_timeout) starts again. A
    /// session that was not stored is created. The client must be sent the new id:
    /// [`cookie_change`](Self::cookie_change).
    ///
    /// # What stays
    /// | the session was | |
    /// | --- | --- |
    /// | without an owner | All values, the label and the timeouts stay: a visitor's cart becomes the customer's. Where another person may have filled it, as on a shared computer, [`clear`](Self::clear) first. |
    /// | `owner`'s | All values, the label and the timeouts stay. |
    /// | another owner's | Only the values under keys that are named with [`keep`](Login::keep) stay: no other value, also none that another request saves at the same time, no label, no timeouts. |
    ///
    /// In each case, all changes of this handle since its last save are part of the login, such as
    /// the label and the name of the new owner.
    ///
    /// ```
    /// # use session_manager::{SessionManager, session_core::Owner};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let session = SessionManager::new(session_memory::MemoryStore::new()).create();
    /// session.insert("cart", &["book".to_owned()])?;
    /// session.insert("address", "12 Elm Street")?;
    /// session.login(Owner::new("alice")?).await?;
    /// session.login(Owner::new("bob")?).keep(&["cart"]).await?;
    /// assert_eq!(session.keys().await?, ["cart"]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`save`](Self::save), and [`SessionError::TooManySessions`]. After an error that [may
    /// have been applied](SessionError::may_have_applied), the old id may have ended, and no client
    /// has the new one: the client has to log in again.
    pub fn login(&self, owner: Owner) -> Login<'_> {
        Login { session: self, owner, kept: &[] }
    }

    /// Gives the session a new id, and stores all changes of this handle, in one step. Call it when
    /// the session's rights have changed.
    ///
    /// The old id is invalid from then on; see [`login`](Self::login). For a session that is not
    /// stored, this is a no-op: it has no id.
    ///
    /// # Errors
    /// As [`login`](Self::login).
    pub async fn rotate(&self) -> Result<()> {
        let _turn = self.handle().turn.lock().await;
        self.load_in_turn().await?;
        if let Phase::New = self.handle().state.lock().phase {
            return Ok(());
        }
        self.move_to_new_id(&WriteOptions::default()).await
    }

    /// Gives the session a new id. The caller holds `turn`.
    pub(crate) async fn move_to_new_id(&self, extra: &WriteOptions<'_>) -> Result<()> {
        let handle = self.handle();
        let manager = &handle.manager;
        let settings = manager.settings();
        self.load_in_turn().await?;
        let mut place = None;
        for attempt in 1..=settings.max_attempts {
            let (old, prepared) = {
                let state = handle.state.lock();
                state.may_give_new_id()?;
                let prepared = state.prepare(None, settings, manager.max_len(), &WriteScope::All, extra)?;
                match &state.phase {
                    Phase::Live(live) => (Some((live.id.clone(), live.key, live.base.version)), prepared),
                    Phase::Ended => return Err(state.gone()),
                    _ => (None, prepared),
                }
            };
            let Some((old_id, old, expected)) = old else {
                return self.store_new(prepared).await.map(drop);
            };
            let id = old_id.rotate();
            let (new, sent_at) = (manager.key_of(&id), Instant::now());
            let outcome = manager.store().rename(&old, &new, prepared.write.clone(), expected).await;
            let (moved, too_late) = {
                let mut state = handle.state.lock();
                let moved = state.settle_move(prepared, outcome, sent_at, old_id, (id, new))?;
                (moved, state.may_give_new_id().err())
            };
            if let Some(owner) = moved {
                manager.tell(|| SessionEvent::Rotated { old, new, owner });
                let Some(error) = too_late else { return Ok(()) };
                // The client has the old id, which is invalid, and can no longer get the new one.
                self.end_here().await?;
                return Err(error);
            }
            // No other task of this process writes the session during the next attempt.
            manager.await_turn(&old, attempt, false, &mut place).await;
        }
        Err(SessionError::Contended { attempts: settings.max_attempts })
    }

    /// Ends the live session in the store and for this handle. The caller holds `turn`.
    pub(crate) async fn end_here(&self) -> Result<()> {
        let handle = self.handle();
        let live = handle.state.lock().live_key();
        if let Some(key) = live {
            handle.manager.destroy(&key).await?;
            handle.state.lock().phase = Phase::Ended;
        }
        Ok(())
    }
}

impl State {
    #[expect(clippy::option_option, reason = "whether it was done, and then whose it is, if anybody's")]
    /// Records the outcome of a rename. Returns the owner afterwards, or `None` if it has to be
    /// tried again.
    fn settle_move(
        &mut self,
        prepared: Prepared,
        outcome: session_core::Result<RenameOutcome>,
        sent_at: Instant,
        old: SessionId,
        (new, key): (SessionId, SessionKey),
    ) -> Result<Option<Option<Owner>>> {
        match outcome {
            Ok(RenameOutcome::Renamed) => {
                self.changes.saved(prepared.change_seq);
                let base = prepared.into_base(sent_at);
                let owner = base.owner.clone();
                self.phase = Phase::Live(Live { key, id: new, presented: false, base });
                Ok(Some(owner))
            }
            Ok(RenameOutcome::Conflict(Some(record))) => {
                self.rebase(Snapshot::of(record, sent_at)?);
                Ok(None)
            }
            Ok(RenameOutcome::Conflict(None)) => {
                self.phase = Phase::Ended;
                Err(self.gone())
            }
            // The random id is taken: draw another one.
            Ok(RenameOutcome::Occupied) => Ok(None),
            Err(error) => {
                if error.may_have_applied() {
                    let presented = matches!(&self.phase, Phase::Live(live) if live.presented);
                    self.phase = Phase::Unknown { id: old, presented };
                }
                Err(error.into())
            }
        }
    }
}
