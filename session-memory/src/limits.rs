use std::sync::atomic::{AtomicU64, Ordering};

use session_core::Write;

use crate::stored_record::StoredRecord;

/// The limits and what is used of them. Only a limited quantity is counted, so that a store without
/// limits shares no counter between threads.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    sessions: Option<Limit>,
    bytes: Option<Limit>,
}

#[derive(Debug)]
struct Limit {
    used: AtomicU64,
    max: u64,
}

impl Limit {
    fn new(max: u64) -> Self {
        Self { used: AtomicU64::new(0), max }
    }

    /// Replaces `before` by `after` in the counter, unless that raises it above the limit.
    fn exchange(&self, before: u64, after: u64) -> bool {
        let exchanged = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            let next = used - before + after;
            (after <= before || next <= self.max).then_some(next)
        });
        exchanged.is_ok()
    }
}

impl Limits {
    pub(crate) fn new(max_sessions: Option<u64>, max_bytes: Option<u64>) -> Self {
        Self { sessions: max_sessions.map(Limit::new), bytes: max_bytes.map(Limit::new) }
    }

    /// Counts a write that replaces `replaced`. Returns `false` if there is no room for it.
    pub(crate) fn admit(&self, replaced: Option<&StoredRecord>, write: &Write) -> bool {
        let (sessions_before, bytes_before) = replaced.map_or((0, 0), |slot| (1, slot.data.len() as u64));
        if let Some(sessions) = &self.sessions
            && !sessions.exchange(sessions_before, 1)
        {
            return false;
        }
        if let Some(bytes) = &self.bytes
            && !bytes.exchange(bytes_before, write.data.len() as u64)
        {
            if let Some(sessions) = &self.sessions {
                sessions.exchange(1, sessions_before);
            }
            return false;
        }
        true
    }

    /// Whether an otherwise empty store would have room for this write.
    pub(crate) fn can_ever_hold(&self, write: &Write) -> bool {
        self.sessions.as_ref().is_none_or(|sessions| sessions.max > 0)
            && self.bytes.as_ref().is_none_or(|bytes| write.data.len() as u64 <= bytes.max)
    }

    /// Subtracts a removed record from the counters.
    pub(crate) fn release(&self, slot: &StoredRecord) {
        if let Some(sessions) = &self.sessions {
            sessions.exchange(1, 0);
        }
        if let Some(bytes) = &self.bytes {
            bytes.exchange(slot.data.len() as u64, 0);
        }
    }

    /// The limits, for an error message.
    pub(crate) fn describe(&self) -> String {
        let part = |limit: &Option<Limit>, of| limit.as_ref().map(|limit| format!("{} {of}", limit.max));
        let parts: Vec<_> = [part(&self.sessions, "sessions"), part(&self.bytes, "bytes of data")]
            .into_iter()
            .flatten()
            .collect();
        parts.join(" and ")
    }
}
