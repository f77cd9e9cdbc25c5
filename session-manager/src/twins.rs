use std::{cmp::Reverse, mem, time::Instant};

use parking_lot::MutexGuard;
use session_core::{ErrorKind, Record, SessionId, SessionKey};

use crate::{
    Result, Session,
    state::{Phase, State},
};

/// The ids that a client presented beside the one in use, as with two cookies of one name.
#[derive(Debug, Default)]
pub(crate) struct Twins {
    ids: Vec<SessionId>,
    /// Whether the store was asked which of all ids is live.
    seen: bool,
}

impl Twins {
    pub(crate) fn new(ids: Vec<SessionId>) -> Self {
        Self { ids, seen: false }
    }

    pub(crate) fn are_unseen(&self) -> bool {
        !self.seen && !self.ids.is_empty()
    }
}

impl Session {
    /// Asks the store for all ids that the client presented, and continues with the live session
    /// that began or logged in last. The caller holds `turn`.
    pub(crate) async fn ask_for_twins(&self) -> Result<MutexGuard<'_, State>> {
        let manager = &self.handle().manager;
        let keys = {
            let state = self.handle().state.lock();
            let first = state.unseen(None).into_iter();
            first.chain(&state.twins.ids).map(|id| manager.key_of(id)).collect::<Vec<_>>()
        };
        let asked = Instant::now();
        let mut found = Vec::with_capacity(keys.len());
        for (at, result) in manager.store().read_many(&keys).await.into_iter().enumerate() {
            match result {
                Ok(Some(record)) => found.push((at, record)),
                Ok(None) => {}
                // An unreadable session must not make the readable ones fail.
                Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let (at, record) = self.latest(found, asked).map_or((0, None), |(at, record)| (at, Some(record)));
        let key = keys[at];
        self.handle().state.lock().choose(at);
        self.take_in(key, record, asked)
    }

    /// Of the live sessions, the one that began or logged in last.
    fn latest(&self, found: Vec<(usize, Record)>, asked: Instant) -> Option<(usize, Record)> {
        let settings = self.handle().manager.settings();
        let live = found.into_iter().filter_map(|(at, record)| {
            let base = crate::snapshot::Snapshot::of(record.clone(), asked).ok()?;
            (!settings.is_over(base.payload.meta())).then(|| (base.payload.created(), at, record))
        });
        // Of equals, the first one: browsers send the cookie with the more specific path first.
        live.max_by_key(|(created, at, _)| (*created, Reverse(*at))).map(|(_, at, record)| (at, record))
    }

    /// The keys under which the client's other ids may have sessions, for a logout.
    pub(crate) fn twins(&self) -> Vec<SessionKey> {
        let ids = &self.handle().state.lock().twins.ids;
        ids.iter().map(|id| self.handle().manager.key_of(id)).collect()
    }
}

impl State {
    /// Makes the presented id at this position the one in use.
    fn choose(&mut self, at: usize) {
        self.twins.seen = true;
        if let Phase::Unloaded(id) = &mut self.phase
            && let Some(twin) = at.checked_sub(1).and_then(|at| self.twins.ids.get_mut(at))
        {
            mem::swap(id, twin);
        }
    }
}
