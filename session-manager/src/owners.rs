use std::{
    cmp::Reverse,
    fmt,
    time::{Instant, SystemTime},
};

use session_core::{Error, ErrorKind, Operation, Owner, OwnerChange, OwnerIndex, SessionKey};

use crate::{
    Result, Session, SessionError, SessionEvent, SessionManager, WhenReached,
    payload::meta,
    snapshot::Snapshot,
    state::{Phase, WriteOptions},
};

/// One of an owner's sessions, for a "your devices" page.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnedSession {
    /// Its key, by which [`SessionManager::destroy`] ends it. Not secret.
    pub key: SessionKey,
    /// When its owner logged in.
    pub created: SystemTime,
    /// When it was last used, as far as that is stored.
    ///
    /// A use that was worth neither a save nor a touch is not stored, so the true time can be
    /// later: by the [part of the idle timeout](crate::SessionManagerBuilder::touch_after) that is
    /// not worth a touch, and, shortly before the absolute timeout, by up to the idle timeout.
    pub last_seen: SystemTime,
    /// The application's name for the place where it is used: [`Session::set_label`].
    pub label: Option<String>,
}

impl fmt::Debug for OwnedSession {
    /// Omits the label: it may name a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedSession")
            .field("key", &self.key)
            .field("created", &self.created)
            .field("last_seen", &self.last_seen)
            .field("is_labelled", &self.label.is_some())
            .finish()
    }
}

impl SessionManager {
    /// Whether the store has an index of owners. Costs no I/O.
    ///
    /// All stores of this workspace have one; a third-party store need not. Over a store without an
    /// index, everything works except the operations by owner:
    ///
    /// * [`sessions_of`](Self::sessions_of), [`logout_everywhere`](Self::logout_everywhere) and
    ///   [`Session::logout_others`] fail as [`SessionError::Store`] with [`ErrorKind::Config`],
    ///   which is a 500 in `session-tower`;
    /// * a [`logout`](Session::logout) of a session that another request rotates at the same time
    ///   cannot follow the rotation, and fails as [`Gone`](SessionError::Gone);
    /// * [`max_sessions_per_owner`](crate::SessionManagerBuilder::max_sessions_per_owner) is
    ///   refused when the manager is built.
    ///
    /// An application that needs these operations should require the index at start-up, with
    /// [`require_owner_index`](crate::SessionManagerBuilder::require_owner_index). An application
    /// that can do without asks here, for instance to hide a button.
    ///
    /// ```
    /// use session_manager::SessionManager;
    ///
    /// let manager = SessionManager::new(session_memory::MemoryStore::new());
    /// assert!(manager.can_list_owners());
    /// ```
    pub fn can_list_owners(&self) -> bool {
        self.store().owners().is_some()
    }

    /// The live sessions of `owner`, the latest login first. Costs a look-up of the owner and one
    /// batch of reads.
    ///
    /// Sessions that begin or end meanwhile may be included or not. Sessions that cannot be read
    /// are left out.
    ///
    /// # Errors
    /// [`SessionError::Store`], with [`ErrorKind::Config`] if the store has no index of owners: see
    /// [`can_list_owners`](Self::can_list_owners).
    pub async fn sessions_of(&self, owner: &Owner) -> Result<Vec<OwnedSession>> {
        let sessions = self.records_of(owner).await?;
        let live = sessions.iter().filter_map(|(key, base)| Some(self.show(*key, base.as_ref()?)));
        let mut sessions: Vec<_> = live.collect();
        sessions.sort_by_key(|session| (Reverse(session.created), session.key));
        Ok(sessions)
    }

    /// Ends all sessions of `owner`, and returns their number.
    ///
    /// Ends every session that existed when the call began, even if it is rotated meanwhile. A
    /// session that a concurrent login begins may be ended or not.
    ///
    /// # Errors
    /// As [`sessions_of`](Self::sessions_of). Calling again is always safe.
    pub async fn logout_everywhere(&self, owner: &Owner) -> Result<usize> {
        self.end_all(owner, None).await
    }

    async fn end_all(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<usize> {
        let ended = self.owner_index()?.delete_all(owner, except).await?;
        for key in &ended {
            self.tell(|| SessionEvent::Destroyed { key: *key });
        }
        Ok(ended.len())
    }

    fn owner_index(&self) -> Result<&dyn OwnerIndex> {
        self.store().owners().ok_or_else(|| {
            Error::new(ErrorKind::Config, Operation::ListOwner)
                .because("this store has no index of owners, which `SessionManager::can_list_owners` tells in advance")
                .into()
        })
    }

    /// The owner's stored sessions, without those that cannot be read. The value is `None` for a
    /// session that was listed, but moved or ended before it was read.
    pub(crate) async fn records_of(&self, owner: &Owner) -> Result<Vec<(SessionKey, Option<Box<Snapshot>>)>> {
        let keys = self.owner_index()?.list(owner).await?;
        let asked = Instant::now();
        let mut sessions = Vec::with_capacity(keys.len());
        for (key, record) in keys.iter().zip(self.store().read_many(&keys).await) {
            match record {
                Ok(None) => sessions.push((*key, None)),
                Ok(Some(record)) if record.owner.as_ref() == Some(owner) => {
                    sessions.extend(Snapshot::of(record, asked).ok().map(|base| (*key, Some(base))));
                }
                Ok(Some(_)) => {}
                Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(sessions)
    }

    fn show(&self, key: SessionKey, base: &Snapshot) -> OwnedSession {
        let meta = base.payload.meta();
        // A touch sets the expiry to one idle timeout later, unless the absolute timeout comes
        // first.
        let idle = self.settings().idle_of(meta);
        let left = base.expires_at.saturating_duration_since(Instant::now());
        let unused = u64::try_from(idle.saturating_sub(left).as_millis()).unwrap_or(u64::MAX);
        let clipped = self.settings().ttl(meta).is_none_or(|ttl| ttl.as_duration() < idle);
        let touched = if clipped { 0 } else { meta::now().saturating_sub(unused) };
        OwnedSession {
            key,
            created: base.payload.created(),
            last_seen: meta::time(meta.saved.max(touched)),
            label: base.payload.label().map(str::to_owned),
        }
    }

    /// Refuses a login that cannot succeed, before it changes anything.
    pub(crate) async fn refuse_early(&self, owner: &Owner, own: Option<&SessionKey>) -> Result<()> {
        let Some((max, WhenReached::Refuse)) = self.settings().limit else { return Ok(()) };
        let others = self.owner_index()?.list(owner).await?.into_iter().filter(|key| Some(key) != own);
        if others.count() < max {
            return Ok(());
        }
        Err(SessionError::TooManySessions { owner: owner.clone(), max })
    }
}

impl Session {
    /// Ends all other sessions of this session's owner, and returns their number. Without an owner,
    /// there are none.
    ///
    /// # Errors
    /// As [`SessionManager::logout_everywhere`], and [`SessionError::Gone`]. A store without an
    /// index of owners is an error only if this session has an owner.
    pub async fn logout_others(&self) -> Result<usize> {
        let handle = self.handle();
        // Holding `turn` prevents this handle from rotating the session that is to be spared.
        let _turn = handle.turn.lock().await;
        self.load_in_turn().await?;
        let (key, owner) = match &handle.state.lock().phase {
            Phase::Live(live) => (live.key, live.base.owner.clone()),
            _ => return Ok(0),
        };
        let Some(owner) = owner else { return Ok(0) };
        handle.manager.end_all(&owner, Some(&key)).await
    }

    /// After a login: enforces the limit on the owner's sessions.
    pub(crate) async fn keep_limit(&self, owner: &Owner) -> Result<()> {
        let manager = &self.handle().manager;
        let Some((max, when_reached)) = manager.settings().limit else { return Ok(()) };
        if manager.owner_index()?.list(owner).await?.len() <= max {
            return Ok(());
        }
        match when_reached {
            WhenReached::EndOldest => {
                // All concurrent logins use the same order, so they end the same sessions.
                let mut sessions = manager.sessions_of(owner).await?;
                for session in sessions.split_off(max.min(sessions.len())) {
                    manager.destroy(&session.key).await?;
                }
                Ok(())
            }
            WhenReached::Refuse => {
                // Each login that sees too many sessions withdraws, so no order has to be agreed
                // on.
                let _turn = self.handle().turn.lock().await;
                let extra = WriteOptions { owner: OwnerChange::Clear, restart: true, kept: &[] };
                match self.move_to_new_id(&extra).await {
                    // The client gets the id of this login and no other, so this session has to
                    // end.
                    Err(SessionError::TooLate { .. }) => self.end_here().await?,
                    moved => moved?,
                }
                Err(SessionError::TooManySessions { owner: owner.clone(), max })
            }
        }
    }
}
