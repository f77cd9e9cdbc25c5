use std::time::Instant;

use session_core::{Expected, SessionId, SessionKey, When, WriteOutcome};

use crate::{
    Result, SameKey, Session, SessionError, SessionEvent, SessionManager,
    commit_outcome::CommitOutcome,
    payload::Payload,
    snapshot::Snapshot,
    state::{Live, Phase, Prepared, State, WriteOptions, WriteScope},
};

/// The result of a [`save`](Session::save).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Saved {
    /// Nothing was changed, and no touch was due.
    Nothing,
    /// The idle timeout was renewed.
    Touched,
    /// The changes were stored, which also renews the idle timeout.
    Written,
    /// A new session was stored: the client must be sent its id.
    Created,
    /// Nothing was changed, and the session turned out to have ended elsewhere.
    Ended,
}

/// The next step of a save.
enum Step {
    Done(Saved),
    Create(Prepared),
    Write(SessionKey, session_core::Version, Prepared),
    Touch(SessionKey, session_core::Ttl),
}

impl Session {
    /// Stores the changes of this handle, and renews the idle timeout if that is due: call it once,
    /// at the end of a request.
    ///
    /// * If nothing was changed and the session was never loaded, this is a no-op.
    /// * If nothing was changed, it sends at most a
    ///   [touch](crate::SessionManagerBuilder::touch_after).
    /// * Otherwise it writes on the condition that the stored session is unchanged. After a
    ///   conflict, it merges its keys into the session that is stored now, by the policy of
    ///   [`SameKey`], and tries again.
    /// * If nothing is stored yet, and there is something to store, it creates the session under a
    ///   new id. Two concurrent first requests of one visitor create two sessions.
    ///
    /// # Errors
    /// [`SessionError::Gone`] and [`SessionError::TooLate`] with the unsaved keys,
    /// [`SessionError::SameKey`], [`SessionError::TooLarge`], [`SessionError::Contended`],
    /// [`SessionError::Store`].
    ///
    /// The changes stay in the handle, so that saving can be tried again. This includes errors that
    /// [may have been applied](SessionError::may_have_applied): the same keys would be set to the
    /// same values.
    pub async fn save(&self) -> Result<Saved> {
        let handle = self.handle();
        if !self.needs_save() && !matches!(handle.state.lock().phase, Phase::Ended) {
            return Ok(Saved::Nothing);
        }
        let _turn = handle.turn.lock().await;
        self.load_in_turn().await?;
        let manager = &handle.manager;
        let settings = manager.settings();
        let key = handle.state.lock().key_to_write();
        let mut place = match key {
            Some(key) => manager.write_queues().join_if_contended(&key).await,
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
                // A conflict with the other write shows whether both have changed a key.
                (SameKey::Fail, Some(place)) => {
                    place.build_alone();
                    None
                }
                (_, None) => None,
            };
            let step = handle.state.lock().next_step(ground.as_deref(), manager);
            let step = match step {
                // The write in flight that this step builds on may fail, and so the error may not
                // hold.
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
            manager.await_turn(&key, attempt, done.at_once, &mut place).await;
        }
        Err(SessionError::Contended { attempts: settings.max_attempts })
    }

    /// Whether [`save`](Self::save) would ask the store for anything in the current state.
    ///
    /// Costs no I/O and does not wait, so a caller can avoid an allocation for the save.
    pub fn needs_save(&self) -> bool {
        let handle = self.handle();
        let state = handle.state.lock();
        let touch_is_due = match &state.phase {
            Phase::Live(live) => handle.manager.settings().due_touch(&live.base).is_some(),
            Phase::Unknown { .. } => true,
            // The session was not read, so that not even a touch is due; or it is not stored, or
            // has ended.
            Phase::Unloaded(_) | Phase::New | Phase::Ended => false,
        };
        touch_is_due || !state.changes.is_empty()
    }

    /// Creates the session under a new id. It is not tried again after a lost reply: no client has
    /// the id under which the session may then be stored.
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
        let change_seq = prepared.change_seq;
        let base = prepared.into_base(sent_at);
        let owner = base.owner.clone();
        let too_late = {
            let mut state = handle.state.lock();
            let too_late = state.may_give_new_id().err();
            if too_late.is_none() {
                state.changes.saved(change_seq);
                state.phase = Phase::Live(Live { id, presented: false, key, base });
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
        match &mut state.phase {
            Phase::Live(live) if there => {
                live.base.expires_at = crate::snapshot::later(sent_at, ttl.as_duration());
                Ok(Saved::Touched)
            }
            phase => {
                *phase = Phase::Ended;
                Ok(Saved::Ended)
            }
        }
    }
}

impl State {
    /// The key of the session, if there are changes to write to it.
    fn key_to_write(&self) -> Option<SessionKey> {
        self.live_key().filter(|_| !self.changes.is_empty())
    }

    fn next_step(&self, ground: Option<&Snapshot>, manager: &SessionManager) -> Result<Step> {
        let settings = manager.settings();
        let prepare =
            || self.prepare(ground, settings, manager.max_len(), &WriteScope::All, &WriteOptions::default());
        match &self.phase {
            Phase::Live(live) if !self.changes.is_empty() => {
                let expected = ground.unwrap_or(&live.base).version;
                Ok(Step::Write(live.key, expected, prepare()?))
            }
            Phase::Live(live) => Ok(match settings.due_touch(&live.base) {
                Some(ttl) => Step::Touch(live.key, ttl),
                None => Step::Done(Saved::Nothing),
            }),
            Phase::New if self.changes.worth_a_session() => {
                self.may_give_new_id()?;
                prepare().map(Step::Create)
            }
            Phase::New | Phase::Unloaded(_) | Phase::Unknown { .. } => Ok(Step::Done(Saved::Nothing)),
            Phase::Ended => Err(self.gone()),
        }
    }

    /// Records the outcome of a save. Returns `None` if it has to be tried again.
    fn settle(
        &mut self,
        prepared: Prepared,
        sent: CommitOutcome,
        sent_at: Instant,
        policy: SameKey,
    ) -> Result<Option<Saved>> {
        match sent {
            CommitOutcome::Written => self.wrote(prepared, sent_at),
            CommitOutcome::CommittedThenReplaced(now) => {
                self.changes.saved(prepared.change_seq);
                self.rebase(now);
            }
            CommitOutcome::Ended => {
                self.phase = Phase::Ended;
                return Err(self.gone());
            }
            CommitOutcome::Conflict(now) => {
                if policy == SameKey::Fail {
                    self.refuse_same_keys(&now.payload)?;
                }
                self.rebase(now);
                return Ok(None);
            }
        }
        Ok(Some(Saved::Written))
    }

    /// Records that all changes up to those in `prepared` are stored.
    pub(crate) fn wrote(&mut self, prepared: Prepared, sent_at: Instant) {
        self.changes.saved(prepared.change_seq);
        self.rebase(prepared.into_base(sent_at));
    }

    /// Fails if this handle has changed keys whose values differ between its snapshot and the
    /// session that is stored `now`.
    pub(crate) fn refuse_same_keys(&self, now: &Payload) -> Result<()> {
        let seen = self.base().map(|base| &base.payload);
        let differs = |key: &str| seen.and_then(|seen| seen.stored(key)) != now.stored(key);
        let keys: Vec<_> = self.changes.keys().into_iter().filter(|key| differs(key)).collect();
        if keys.is_empty() { Ok(()) } else { Err(SessionError::SameKey { keys }) }
    }
}
