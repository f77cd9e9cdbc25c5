use std::time::Instant;

use session_core::{Expected, SessionId, SessionKey, When, WriteOutcome};

use crate::{
    Result, SameKey, Session, SessionError, SessionEvent, SessionManager,
    base::Base,
    commit::Sent,
    payload::Payload,
    state::{Extra, Link, Live, Part, Prepared, State},
};

/// What a [`save`](Session::save) has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Saved {
    /// Nothing: nothing was changed, and no touch was due.
    Nothing,
    /// It has renewed the idle timeout.
    Touched,
    /// It has stored the changes, which renews the idle timeout, too.
    Written,
    /// It has stored a new session: the client must be told its id.
    Created,
    /// Nothing was changed, and the session turned out to have ended elsewhere.
    Ended,
}

/// What a save is to do next.
enum Step {
    Done(Saved),
    Create(Prepared),
    Write(SessionKey, session_core::Version, Prepared),
    Touch(SessionKey, session_core::Ttl),
}

impl Session {
    /// Stores what this handle has changed, and renews the idle timeout if that is due: call it once, at the end of a request.
    ///
    /// * If nothing was changed and the session was never loaded, this does nothing at all.
    /// * If nothing was changed, at most a [touch](crate::SessionManagerBuilder::touch_after).
    /// * Else it writes on the condition that nobody else has written since; if somebody has, it merges its keys onto what is
    ///   there now, by the policy of [`SameKey`], and tries again.
    /// * If nothing was stored yet, and there is something to store, it creates the session under a new id. Two first requests of one visitor at the same
    ///   time create two sessions.
    ///
    /// # Errors
    /// [`SessionError::Gone`] and [`SessionError::TooLate`] with the unsaved keys, [`SessionError::SameKey`], [`SessionError::TooLarge`],
    /// [`SessionError::Contended`], [`SessionError::Store`]. The changes stay in the handle, so that saving can be tried
    /// again; after an error that [may have been applied](SessionError::may_have_applied), too: the same keys would be set to the same values.
    pub async fn save(&self) -> Result<Saved> {
        let handle = self.handle();
        if !self.needs_save() && !matches!(handle.state.lock().link, Link::Gone) {
            return Ok(Saved::Nothing);
        }
        let _turn = handle.turn.lock().await;
        self.load_in_turn().await?;
        let manager = &handle.manager;
        let settings = manager.settings();
        let key = handle.state.lock().key_to_write();
        let mut place = match key {
            Some(key) => manager.lines().join_if_contended(&key).await,
            None => None,
        };
        for attempt in 1..=settings.max_attempts {
            let ground = match (settings.same_key, &mut place) {
                (SameKey::LastWriterWins, Some(place)) => {
                    if place.looks_first() {
                        self.reload(settings.same_key).await?;
                    }
                    place.ground()
                }
                // Whether both have changed a key shows when this write meets the other one.
                (SameKey::Fail, Some(place)) => {
                    place.stand_alone();
                    None
                }
                (_, None) => None,
            };
            let step = handle.state.lock().next_step(ground.as_deref(), manager);
            let step = match step {
                // What it stands on may never come to be.
                Err(_) if ground.is_some() => {
                    place = None;
                    self.reload(settings.same_key).await?;
                    continue;
                }
                step => step?,
            };
            let (key, expected, prepared) = match step {
                Step::Done(saved) => return Ok(saved),
                Step::Create(prepared) => return self.store_new(prepared).await,
                Step::Touch(key, ttl) => return self.touch(&key, ttl).await,
                Step::Write(key, expected, prepared) => (key, expected, prepared),
            };
            let sent_at = Instant::now();
            let done = manager.send_in_turn(&key, &prepared, expected, place.take()).await;
            place = done.place;
            if let Some(saved) =
                handle.state.lock().settle(prepared, done.sent?, sent_at, settings.same_key)?
            {
                return Ok(saved);
            }
            manager.stand_in_line(&key, attempt, done.at_once, &mut place).await;
        }
        Err(SessionError::Contended { attempts: settings.max_attempts })
    }

    /// Whether [`save`](Self::save) would ask the store for anything, as things are now. Costs no I/O and does not wait, so a caller that has to allocate
    /// for the save can spare that.
    pub fn needs_save(&self) -> bool {
        let handle = self.handle();
        let state = handle.state.lock();
        let touch_is_due = match &state.link {
            Link::Live(live) => handle.manager.settings().due_touch(&live.base).is_some(),
            Link::Unsure { .. } => true,
            // Nobody has read it, so that not even a touch is due; or it has ended.
            Link::Presented(_) | Link::Fresh | Link::Gone => false,
        };
        touch_is_due || !state.changes.is_empty()
    }

    /// Creates the session under a new id. Not tried again after a lost reply: what may be stored then is under an id that nobody has.
    pub(crate) async fn store_new(&self, prepared: Prepared) -> Result<Saved> {
        let handle = self.handle();
        let manager = &handle.manager;
        let id = SessionId::generate();
        let (key, sent_at) = (manager.key_of(&id), Instant::now());
        match manager.store().write(&key, prepared.write.clone(), When::Absent).await? {
            WriteOutcome::Written => {}
            WriteOutcome::Conflict(_) => {
                return Err(session_core::Error::new(
                    session_core::ErrorKind::Internal,
                    session_core::Operation::Write,
                )
                .because("the store says that a random id of 160 bits is taken")
                .into());
            }
        }
        let stamp = prepared.stamp;
        let base = prepared.into_base(sent_at);
        let owner = base.owner.clone();
        let too_late = {
            let mut state = handle.state.lock();
            let too_late = state.may_give_new_id().err();
            if too_late.is_none() {
                state.changes.saved(stamp);
                state.link = Link::Live(Live { id, presented: false, key, base });
            }
            too_late
        };
        if let Some(error) = too_late {
            let _ = manager.store().delete(&key, Expected::Any).await?;
            return Err(error);
        }
        manager.tell(|| SessionEvent::Created { key, owner });
        Ok(Saved::Created)
    }

    async fn touch(&self, key: &SessionKey, ttl: session_core::Ttl) -> Result<Saved> {
        let handle = self.handle();
        let sent_at = Instant::now();
        let there = handle.manager.store().touch(key, ttl).await?;
        let mut state = handle.state.lock();
        match &mut state.link {
            Link::Live(live) if there => {
                live.base.expires_at = crate::base::later(sent_at, ttl.as_duration());
                Ok(Saved::Touched)
            }
            link => {
                *link = Link::Gone;
                Ok(Saved::Ended)
            }
        }
    }
}

impl State {
    /// The key of the session, if there are changes to be written under it.
    fn key_to_write(&self) -> Option<SessionKey> {
        self.live_key().filter(|_| !self.changes.is_empty())
    }

    fn next_step(&self, ground: Option<&Base>, manager: &SessionManager) -> Result<Step> {
        let settings = manager.settings();
        let prepare = || self.prepare(ground, settings, manager.max_len(), &Part::All, &Extra::default());
        match &self.link {
            Link::Live(live) if !self.changes.is_empty() => {
                let expected = ground.unwrap_or(&live.base).version;
                Ok(Step::Write(live.key, expected, prepare()?))
            }
            Link::Live(live) => Ok(match settings.due_touch(&live.base) {
                Some(ttl) => Step::Touch(live.key, ttl),
                None => Step::Done(Saved::Nothing),
            }),
            Link::Fresh if self.changes.worth_a_session() => {
                self.may_give_new_id()?;
                prepare().map(Step::Create)
            }
            Link::Fresh | Link::Presented(_) | Link::Unsure { .. } => Ok(Step::Done(Saved::Nothing)),
            Link::Gone => Err(self.gone()),
        }
    }

    /// Takes note of what came of a save; `None` if it is to be tried again.
    fn settle(
        &mut self,
        prepared: Prepared,
        sent: Sent,
        sent_at: Instant,
        policy: SameKey,
    ) -> Result<Option<Saved>> {
        match sent {
            Sent::Written => self.wrote(prepared, sent_at),
            Sent::Superseded(now) => {
                self.changes.saved(prepared.stamp);
                self.rebase(now);
            }
            Sent::Gone => {
                self.link = Link::Gone;
                return Err(self.gone());
            }
            Sent::Conflict(now) => {
                if policy == SameKey::Fail {
                    self.refuse_same_keys(&now.payload)?;
                }
                self.rebase(now);
                return Ok(None);
            }
        }
        Ok(Some(Saved::Written))
    }

    /// Takes note that all changes up to those in `prepared` are stored.
    pub(crate) fn wrote(&mut self, prepared: Prepared, sent_at: Instant) {
        self.changes.saved(prepared.stamp);
        self.rebase(prepared.into_base(sent_at));
    }

    /// Fails if this handle has changed keys that differ between what it has seen and what is there `now`.
    pub(crate) fn refuse_same_keys(&self, now: &Payload) -> Result<()> {
        let seen = self.base().map(|base| &base.payload);
        let differs = |key: &str| seen.and_then(|seen| seen.stored(key)) != now.stored(key);
        let keys: Vec<_> = self.changes.keys().into_iter().filter(|key| differs(key)).collect();
        if keys.is_empty() { Ok(()) } else { Err(SessionError::SameKey { keys }) }
    }
}
