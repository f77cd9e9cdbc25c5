use crate::{Result, Session, SessionError, changes::Changes, state::Link};

impl Session {
    /// Ends the session, for all who use it, and drops what this handle has not saved. The handle is then as good as new: what is set
    /// afterwards, such as a farewell, goes into a new session under a new id.
    ///
    /// When it has returned, no save, touch, update or rotation, whenever it began, brings the
    /// session back. If another request rotates it at the same time, it is ended under its new id,
    /// too, provided that it has an owner, by which it can be found, and that the store has an
    /// [index of owners](crate::SessionManager::can_list_owners).
    ///
    /// `Ok` says that a session was ended, by this call or an earlier one through this handle, or that the client has presented no id and nothing is
    /// stored.
    ///
    /// If the client has presented [several ids](crate::SessionManager::open_any), the sessions of all of them end.
    ///
    /// Costs one round trip, and a read if the session was not loaded. Also ends what cannot be read.
    ///
    /// # Errors
    /// [`SessionError::Gone`]: nothing is live under the id that this handle has, so nothing was ended. The session has expired or was ended before, or
    /// it **goes on under a newer id**, which another response has told the client. So do not tell that the user is logged out, and leave the cookie
    /// as it is ([`cookie_change`](Self::cookie_change) does): the client's next request shows what is so. The handle changes nothing any more.
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
        let had_none = matches!(state.link, Link::Fresh) && (state.logged_out || !handle.presented);
        if ended || had_none {
            state.link = Link::Fresh;
            Ok(())
        } else {
            state.link = Link::Gone;
            Err(state.gone())
        }
    }

    /// Ends the session under the id that is known, or under those that it was rotated to; `false` if nothing was live. The caller holds the turn.
    async fn end_everywhere(&self) -> Result<bool> {
        let handle = self.handle();
        let manager = &handle.manager;
        let key = match &handle.state.lock().link {
            Link::Presented(id) | Link::Unsure { id, .. } => manager.key_of(id),
            Link::Live(live) => live.key,
            Link::Fresh | Link::Gone => return Ok(false),
        };
        match self.load_in_turn().await {
            // A newer key is not known, and this one can be ended all the same.
            Ok(_) | Err(SessionError::Gone { .. }) => {}
            Err(SessionError::Store(error)) if !error.is_transient() => {}
            Err(error) => return Err(error),
        }
        // Of several ids, the one that counts may be another one than it was.
        let key = handle.state.lock().live_key().unwrap_or(key);
        let lineage = {
            let state = handle.state.lock();
            state.base().and_then(|base| Some((base.owner.clone()?, base.payload.meta().family)))
        };
        if manager.destroy(&key).await? {
            return Ok(true);
        }
        let Some((owner, family)) = lineage.filter(|_| manager.can_list_owners()) else { return Ok(false) };
        // Another request may have rotated it: then it goes on under an id that this one has never seen, and may be rotated again while it is looked for.
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
