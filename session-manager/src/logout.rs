use session_core::SessionKey;

use crate::{Result, Session, SessionError, changes::Changes, state::Link};

impl Session {
    /// Ends the session, for all who use it, and drops what this handle has not saved. The handle is then as good as new: what is set
    /// afterwards, such as a farewell, goes into a new session under a new id.
    ///
    /// When it has returned, no save, touch, update or rotation, whenever it began, brings the session back. If another request rotates it
    /// at the same time, it is ended under its new id, too, provided that it has an owner, by whom it can be found.
    ///
    /// If the client has presented [several ids](crate::SessionManager::open_any), the sessions of all of them end.
    ///
    /// Costs one round trip, and a read if the session was not loaded. Also ends what cannot be read.
    ///
    /// # Errors
    /// [`SessionError::Store`](crate::SessionError::Store): the session may still be there. Calling again is always safe.
    pub async fn logout(&self) -> Result<()> {
        let handle = self.handle();
        let manager = &handle.manager;
        let _turn = handle.turn.lock().await;
        let key = match &handle.state.lock().link {
            Link::Presented(id) | Link::Unsure { id, .. } => Some(manager.key_of(id)),
            Link::Live(live) => Some(live.key),
            Link::Fresh | Link::Gone => None,
        };
        match self.load_in_turn().await {
            // A newer key is not known, and this one can be ended all the same.
            Ok(_) | Err(SessionError::Gone { .. }) => {}
            Err(SessionError::Store(error)) if !error.is_transient() => {}
            Err(error) => return Err(error),
        }
        // Of several ids, the one that counts may be another one than it was.
        let key = handle.state.lock().live_key().or(key);
        let lineage = {
            let state = handle.state.lock();
            state.base().and_then(|base| Some((base.owner.clone()?, base.payload.meta().family)))
        };
        if let Some(key) = key
            && !manager.destroy(&key).await?
            && let Some((owner, family)) = lineage
        {
            // Another request may have rotated it: then it goes on under an id that this one has never seen.
            for key in self.successors(&owner, family).await? {
                manager.destroy(&key).await?;
            }
        }
        for key in self.twins() {
            manager.destroy(&key).await?;
        }
        let mut state = handle.state.lock();
        state.link = Link::Fresh;
        state.changes = Changes::default();
        state.logged_out = true;
        Ok(())
    }

    /// The owner's sessions that descend from the same login.
    async fn successors(&self, owner: &session_core::Owner, family: [u8; 8]) -> Result<Vec<SessionKey>> {
        let sessions = self.handle().manager.records_of(owner).await?;
        let same = sessions.into_iter().filter(|(_, base)| base.payload.meta().family == family);
        Ok(same.map(|(key, _)| key).collect())
    }
}
