use std::{pin::Pin, time::Instant};

use session_core::{Owner, OwnerChange, RenameOutcome, SessionId, SessionKey};

use crate::{
    Result, Session, SessionError, SessionEvent,
    base::Base,
    state::{Extra, Link, Live, Part, Prepared, State},
};

/// A login, which begins when it is awaited: see [`Session::login`].
#[derive(Debug)]
#[must_use = "a login does nothing until it is awaited"]
pub struct Login<'a> {
    session: &'a Session,
    owner: Owner,
    kept: &'a [&'a str],
}

impl<'a> Login<'a> {
    /// If the session is another owner's, keeps the values under these keys, and only these; otherwise all stay. What others change under these keys
    /// at the same time counts.
    pub fn keep(mut self, keys: &'a [&'a str]) -> Self {
        self.kept = keys;
        self
    }

    async fn run(self) -> Result<()> {
        let Self { session, owner, kept } = self;
        let manager = &session.handle().manager;
        // An owner that is logged in already takes no further place, so it has to be known.
        session.load().await?;
        manager.refuse_early(&owner, session.key().as_ref()).await?;
        {
            let _turn = session.handle().turn.lock().await;
            let extra = Extra { owner: OwnerChange::Set(owner.clone()), restart: true, kept };
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
    /// Makes the session `owner`'s, under a new id, with all that this handle has changed and not saved, in one step: what a login does after it
    /// has checked the password.
    ///
    /// The old id is worth nothing from then on (an attacker may have planted it), and requests that loaded the session before can change nothing
    /// any more: they fail as [`Gone`](SessionError::Gone). The [absolute timeout](crate::SessionManagerBuilder::absolute_timeout) begins anew. A
    /// session that was not stored is created. The client must be told the new id: [`cookie_change`](Self::cookie_change).
    ///
    /// # What stays
    /// | the session was | |
    /// | --- | --- |
    /// | without an owner | All values, the label and the timeouts stay: a visitor's cart becomes the customer's. Where another person may have filled it, as on a shared computer, [`clear`](Self::clear) first. |
    /// | `owner`'s | All values, the label and the timeouts stay. |
    /// | another owner's | Nothing stays: no value, also none that another request saves at the same time, no label, no timeouts, but for the values under keys that are named with [`keep`](Login::keep). |
    ///
    /// In each case, what this handle has set since its last save is part of the login, such as the label and the name of the new owner.
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
    /// As [`save`](Self::save), and [`SessionError::TooManySessions`]. After an error that
    /// [may have been applied](SessionError::may_have_applied), the old id may have ended, and nobody has the new one: the client has to log in
    /// again.
    pub fn login(&self, owner: Owner) -> Login<'_> {
        Login { session: self, owner, kept: &[] }
    }

    /// Gives the session a new id, with all that this handle has changed, in one step: when its rights have changed.
    ///
    /// The old id is worth nothing from then on; see [`login`](Self::login). What is not stored has no id, and nothing happens to it.
    ///
    /// # Errors
    /// As [`login`](Self::login).
    pub async fn rotate(&self) -> Result<()> {
        let _turn = self.handle().turn.lock().await;
        self.load_in_turn().await?;
        if let Link::Fresh = self.handle().state.lock().link {
            return Ok(());
        }
        self.move_to_new_id(&Extra::default()).await
    }

    /// Gives the session a new id; for those who hold the turn.
    pub(crate) async fn move_to_new_id(&self, extra: &Extra<'_>) -> Result<()> {
        let handle = self.handle();
        let manager = &handle.manager;
        let settings = manager.settings();
        self.load_in_turn().await?;
        let mut place = None;
        for attempt in 1..=settings.max_attempts {
            let (old, prepared) = {
                let state = handle.state.lock();
                state.may_give_new_id()?;
                let prepared = state.prepare(None, settings, manager.max_len(), &Part::All, extra)?;
                match &state.link {
                    Link::Live(live) => (Some((live.id.clone(), live.key, live.base.version)), prepared),
                    Link::Gone => return Err(state.gone()),
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
                // The client has the old id, which is worth nothing, and will not be told the new one.
                self.end_here().await?;
                return Err(error);
            }
            // Nobody else of this process writes the session during the next attempt.
            manager.stand_in_line(&old, attempt, false, &mut place).await;
        }
        Err(SessionError::Contended { attempts: settings.max_attempts })
    }

    /// Ends the session that is live here, and for this handle. The caller holds the turn.
    pub(crate) async fn end_here(&self) -> Result<()> {
        let handle = self.handle();
        let live = handle.state.lock().live_key();
        if let Some(key) = live {
            handle.manager.destroy(&key).await?;
            handle.state.lock().link = Link::Gone;
        }
        Ok(())
    }
}

impl State {
    #[expect(clippy::option_option, reason = "whether it was done, and then whose it is, if anybody's")]
    /// Takes note of what came of a rename: the owner since, or `None` if it is to be tried again.
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
                self.changes.saved(prepared.stamp);
                let base = prepared.into_base(sent_at);
                let owner = base.owner.clone();
                self.link = Link::Live(Live { key, id: new, presented: false, base });
                Ok(Some(owner))
            }
            Ok(RenameOutcome::Conflict(Some(record))) => {
                self.rebase(Base::of(record, sent_at)?);
                Ok(None)
            }
            Ok(RenameOutcome::Conflict(None)) => {
                self.link = Link::Gone;
                Err(self.gone())
            }
            // A random id that is taken: draw another one.
            Ok(RenameOutcome::Occupied) => Ok(None),
            Err(error) => {
                if error.may_have_applied() {
                    let presented = matches!(&self.link, Link::Live(live) if live.presented);
                    self.link = Link::Unsure { id: old, presented };
                }
                Err(error.into())
            }
        }
    }
}
