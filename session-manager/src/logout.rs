use crate::{Result, Session, SessionError, changes::Changes, state::Phase};

impl Session {
    /// Ends the session for all requests that use it, and discards the unsaved changes of this
    /// handle.
    ///
    /// The handle can be used again: values that are set afterwards, such as a farewell message, go
    /// into a new session under a new id.
    ///
    /// After it returns, no save, touch, update or rotation, whenever it began, brings the session
    /// back. If another request rotates the session at the same time, the session is also ended
    /// under its new id, provided that it has an owner, by which it can be found, and that the
    /// store has an [index of owners](crate::SessionManager::can_list_owners).
    ///
    /// `Ok` means that a session was ended, by this call or by an earlier one through this handle,
    /// or that the client presented no id and nothing is stored.
    ///
    /// If the client presented [several ids](crate::SessionManager::open_any), the sessions of all
    /// of them end.
    ///
    /// Costs one round trip, and a read if the session was not loaded. A session that cannot be
    /// read is ended, too.
    ///
    /// # Errors
    /// [`SessionError::Gone`]: no session is live under the id that this handle has, so nothing was
    /// ended. The session has expired or was ended before, or it **goes on under a newer id**,
    /// which another response has sent to the client. Do not tell the user that they are logged
    /// out, and leave the cookie as it is ([`cookie_change`](Self::cookie_change) does): the
    /// client's next request shows which case it is. This handle can change nothing any more.
    ///
    /// [`SessionError::Store`]: the session may still be there.
    ///
    /// Calling again is always safe.
    pub async fn logout(&self) -> Result<()> {
        let handle = self.handle();
        let _turn = handle.turn.lock().await;
        let mut ended = self.end_everywhere().await?;
        for key in self.twins() {
            ended |= handle.manager.destroy(&key).await?;
        }
        let mut state = handle.state.lock();
        state.changes = Changes::default();
        state.logged_out |= ended;
        let had_none = matches!(state.phase, Phase::New) && (state.logged_out || !handle.presented);
        if ended || had_none {
            state.phase = Phase::New;
            Ok(())
        } else {
            state.phase = Phase::Ended;
            Err(state.gone())
        }
    }

    /// Ends the session under the known id, or under the ids that it was rotated to. Returns
    /// `false` if no session was live. The caller holds `turn`.
    async fn end_everywhere(&self) -> Result<bool> {
        let handle = self.handle();
        let manager = &handle.manager;
        let key = match &handle.state.lock().phase {
            Phase::Unloaded(id) | Phase::Unknown { id, .. } => manager.key_of(id),
            Phase::Live(live) => live.key,
            Phase::New | Phase::Ended => return Ok(false),
        };
        match self.load_in_turn().await {
            // A newer key is not known, and the known key can be deleted in any case.
            Ok(_) | Err(SessionError::Gone { .. }) => {}
            Err(SessionError::Store(error)) if !error.is_transient() => {}
            Err(error) => return Err(error),
        }
        // Of several presented ids, the load may have chosen another one.
        let key = handle.state.lock().live_key().unwrap_or(key);
        let lineage = {
            let state = handle.state.lock();
            state.base().and_then(|base| Some((base.owner.clone()?, base.payload.meta().family)))
        };
        if manager.destroy(&key).await? {
            return Ok(true);
        }
        let Some((owner, family)) = lineage.filter(|_| manager.can_list_owners()) else { return Ok(false) };
        // Another request may have rotated the session. It then has an id that this handle has
        // never seen, and may be rotated again during the search.
        let mut ended = false;
        let attempts = manager.settings().max_attempts;
        for _ in 0..attempts {
            let sessions = manager.records_of(&owner).await?;
            let has_moved = sessions.iter().any(|(_, base)| base.is_none());
            let mut has_successors = false;
            for (key, base) in sessions {
                if base.is_some_and(|base| base.payload.meta().family == family) {
                    has_successors = true;
                    ended |= manager.destroy(&key).await?;
                }
            }
            if !has_moved && !has_successors {
                return Ok(ended);
            }
        }
        Err(SessionError::Contended { attempts })
    }
}
