use std::{
    collections::BTreeMap,
    mem,
    time::{Duration, Instant},
};

use session_conformance::Foreign;
use session_core::{Bytes, Error, ErrorKind, Event, Operation, Owner, Record, Result, SessionKey, Version};
use tokio::sync::broadcast;

use super::Flaw;

/// How many events a listener may be behind.
const EVENTS: usize = 1_024;

/// The records of one namespace, as the server has them.
#[derive(Debug)]
pub(super) struct Space {
    pub(super) slots: BTreeMap<SessionKey, Slot>,
    /// Deleted records, for the flaws that revive them.
    pub(super) graveyard: BTreeMap<SessionKey, Stored>,
    /// The listeners. `None` after the store was closed.
    pub(super) events: Option<broadcast::Sender<Event>>,
    /// Whether a flaw drops the next event.
    pub(super) drowns: bool,
    pub(super) flaw: Option<Flaw>,
}

#[derive(Clone, Debug)]
pub(super) enum Slot {
    Ours(Stored),
    Foreign(Foreign),
}

#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) data: Bytes,
    pub(super) version: Version,
    pub(super) owner: Option<Owner>,
    pub(super) expires_at: Instant,
    pub(super) ttl: Duration,
    /// The expiry that a purge without a second check would use.
    pub(super) first_expiry: Instant,
    /// Earlier versions with the same data, for the flaw that cannot distinguish them.
    pub(super) same_data: Vec<Version>,
    /// Owners for which a flawed index still lists this record.
    pub(super) former_owners: Vec<Owner>,
    /// Whether a flawed index contains this record.
    pub(super) indexed: bool,
    /// The number of the handle that has written the record.
    pub(super) handle: usize,
}

impl Space {
    pub(super) fn new(flaw: Option<Flaw>) -> Self {
        Self {
            slots: BTreeMap::new(),
            graveyard: BTreeMap::new(),
            events: Some(broadcast::channel(EVENTS).0),
            drowns: false,
            flaw,
        }
    }

    /// Ends all event streams. Streams that begin from now on receive later events.
    pub(super) fn begin_events(&mut self, _now: Instant) {
        self.events = Some(broadcast::channel(EVENTS).0);
    }

    pub(super) fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    pub(super) fn is_live(&self, stored: &Stored, now: Instant) -> bool {
        if self.has(Flaw::OffByOneTick) {
            const TICK: Duration = Duration::from_millis(20);
            return now <= stored.expires_at + TICK;
        }
        now < stored.expires_at
    }

    /// The record under a key, if it is live. An error if foreign bytes are there.
    pub(super) fn find(
        &self,
        key: &SessionKey,
        now: Instant,
        operation: Operation,
    ) -> Result<Option<&Stored>> {
        let operation = if self.has(Flaw::ForeignIsOfARead) { Operation::Read } else { operation };
        match self.slots.get(key) {
            None => Ok(None),
            Some(Slot::Foreign(_)) if self.has(Flaw::ForeignIsEmpty) => Ok(None),
            Some(Slot::Foreign(Foreign::NewerFormat)) => Err(Error::new(ErrorKind::Unsupported, operation)),
            Some(Slot::Foreign(_)) => Err(Error::new(ErrorKind::Corrupt, operation)),
            Some(Slot::Ours(stored)) => Ok(self.is_live(stored, now).then_some(stored)),
        }
    }

    pub(super) fn record(&self, stored: &Stored, now: Instant) -> Record {
        let left = stored.expires_at.saturating_duration_since(now);
        Record {
            data: stored.data.clone(),
            version: stored.version,
            expires_in: if self.has(Flaw::ReportsWholeTtl) { stored.ttl } else { left },
            owner: stored.owner.clone(),
        }
    }

    pub(super) fn remove(&mut self, key: &SessionKey) {
        if let Some(Slot::Ours(stored)) = self.slots.remove(key) {
            self.graveyard.insert(*key, stored);
        }
    }

    pub(super) fn tell(&mut self, event: Event) {
        let drowns = mem::take(&mut self.drowns);
        // It is not an error if there are no listeners.
        if let Some(events) = self.events.as_ref().filter(|events| !drowns || events.receiver_count() < 2) {
            let _ = events.send(event);
        }
    }

    /// The lifetime of a record with this requested `ttl`.
    pub(super) fn lifetime(&self, ttl: Duration) -> Duration {
        match self.flaw {
            Some(Flaw::TtlInSeconds) => {
                Duration::from_secs(ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0))
            }
            Some(Flaw::TtlCutToSeconds) => Duration::from_secs(ttl.as_secs()),
            Some(Flaw::TtlOverflows) => ttl.min(Duration::from_millis(u64::from(u32::MAX))),
            _ => ttl,
        }
    }

    pub(super) fn belongs(&self, stored: &Stored, owner: &Owner) -> bool {
        let same = |candidate: &Owner| match self.flaw {
            Some(Flaw::OwnersFoldCase) => candidate.as_str().eq_ignore_ascii_case(owner.as_str()),
            Some(Flaw::OwnersIgnoreTrailingSpaces) => {
                candidate.as_str().trim_end() == owner.as_str().trim_end()
            }
            Some(Flaw::OwnerIsAPath) => candidate == owner && !owner.as_str().starts_with('$'),
            _ => candidate == owner,
        };
        let forgotten = self.has(Flaw::IndexForgetsRenewed) && stored.first_expiry < Instant::now();
        stored.indexed
            && !forgotten
            && (stored.owner.as_ref().is_some_and(same) || stored.former_owners.iter().any(same))
    }
}
