use std::sync::Arc;

use session_core::{
    DeleteOutcome, OwnerChange, Record, RenameOutcome, Result, SessionKey, Ttl, Version, When, Write,
    WriteOutcome,
};

use super::{counters::Count, entry::Entry, flaw::Flaw, l1::L1};
use super::clock::Moment;

/// A change through this cache that is under way, of one key.
///
/// Whatever becomes of it, nothing that was known before outlives it: it ends with what the store has said, or, if that is not
/// known or somebody else may have changed the record, too, with nothing. Dropping it means that nobody knows.
#[must_use = "dropped, it forgets what is known of the key"]
pub(crate) struct Change {
    l1: Arc<L1>,
    key: SessionKey,
    epoch: Option<u64>,
    moved: u64,
    alone: bool,
    asked: Moment,
    /// It is a write that was certainly not sent before.
    is_first: bool,
    /// The entry when it began.
    before: Option<Entry>,
    ended: bool,
}

/// What the store has said of the record.
enum Known {
    Nothing,
    /// What it is, and whether this change made it so.
    Record(Record, bool),
    /// It lives so long from the moment when the change was sent.
    Lives(Ttl),
}

impl Change {
    /// Begins one. `version` is what it writes.
    pub(crate) fn begin(l1: &Arc<L1>, key: &SessionKey, version: Option<Version>) -> Self {
        let before = l1.current(key);
        let (moved, alone, epoch) = l1.under_way.at(key, |shard| {
            if l1.has(Flaw::DropsBeforeChange) {
                l1.drop_entry(key, Count::Own);
            }
            let busy = shard.entry(*key).or_default();
            let alone = busy.changes == 0;
            busy.operations += 1;
            busy.changes += u32::from(!l1.has(Flaw::DropsBeforeChange));
            busy.moved += 1;
            busy.own = version.filter(|_| alone).map(|version| (version, false));
            (busy.moved, alone, l1.gate.epoch())
        });
        let asked = l1.clock.now();
        Self {
            l1: Arc::clone(l1),
            key: *key,
            epoch,
            moved,
            alone,
            asked,
            is_first: version.is_some_and(|version| l1.sent.is_first(&version, asked)),
            before,
            ended: false,
        }
    }

    /// What the record will be if this write takes effect, if that can be known.
    pub(crate) fn foresee(&self, write: &Write, when: When) -> Option<Record> {
        let version_before = self.before.as_ref().map(|entry| entry.version);
        // The same write once more changes nothing. Where that does not show (see `end`), the ttl was counted from an earlier attempt, which was not longer ago
        // than the ttl, so the end cannot come within `max_staleness`, unless the ttl is short.
        if version_before == Some(write.version) || write.ttl.as_duration() <= 2 * self.l1.max_staleness {
            return None;
        }
        let owner = match (&write.owner, when) {
            (OwnerChange::Set(owner), _) => Some(owner.clone()),
            (OwnerChange::Clear, _) | (OwnerChange::Keep, When::Absent) => None,
            (OwnerChange::Keep, When::Version(seen)) if version_before == Some(seen) => {
                self.before.as_ref().and_then(|entry| entry.owner.clone())
            }
            (OwnerChange::Keep, _) => return None,
        };
        let expires_in = write.ttl.as_duration();
        Some(Record { data: write.data.clone(), version: write.version, expires_in, owner })
    }

    /// Ends a write, which has made the record `foreseen` if it took effect.
    pub(crate) fn written(self, foreseen: Option<Record>, outcome: &Result<WriteOutcome>) {
        self.end(
            match outcome {
                Ok(WriteOutcome::Written) => {
                    foreseen.map_or(Known::Nothing, |record| Known::Record(record, true))
                }
                Ok(WriteOutcome::Conflict(Some(record))) => Known::Record(record.clone(), false),
                Ok(WriteOutcome::Conflict(None)) | Err(_) => Known::Nothing,
            },
            outcome.is_err(),
        );
    }

    /// Ends a rename, for the key that it takes away.
    pub(crate) fn renamed_away(self, outcome: &Result<RenameOutcome>) {
        self.end(
            match outcome {
                Ok(RenameOutcome::Conflict(Some(record))) => Known::Record(record.clone(), false),
                _ => Known::Nothing,
            },
            outcome.is_err(),
        );
    }

    /// Ends a rename, for the key that it gives.
    pub(crate) fn renamed_here(self, foreseen: Option<Record>, outcome: &Result<RenameOutcome>) {
        self.end(
            match (outcome, foreseen) {
                (Ok(RenameOutcome::Renamed), Some(record)) => Known::Record(record, true),
                _ => Known::Nothing,
            },
            outcome.is_err(),
        );
    }

    /// Ends a touch.
    pub(crate) fn touched(self, ttl: Ttl, outcome: &Result<bool>) {
        self.end(if let Ok(true) = outcome { Known::Lives(ttl) } else { Known::Nothing }, outcome.is_err());
    }

    /// Ends a delete.
    pub(crate) fn deleted(self, outcome: &Result<DeleteOutcome>) {
        self.end(Known::Nothing, outcome.is_err());
    }

    fn end(mut self, known: Known, in_doubt: bool) {
        self.ended = true;
        if in_doubt && self.l1.has(Flaw::KeepsWhatIsInDoubt) {
            return self.leave();
        }
        if self.l1.has(Flaw::DropsBeforeChange) {
            return self.leave();
        }
        let known = match known {
            // Delivered again, it has changed nothing, not even the expiry; and no event will tell of it.
            Known::Record(_, true) if !self.is_first && !self.l1.has(Flaw::CountsTtlAnew) => Known::Nothing,
            known => known,
        };
        self.conclude(known);
    }

    fn leave(&self) {
        self.l1.under_way.at(&self.key, |shard| {
            if let Some(busy) = shard.get_mut(&self.key) {
                busy.changes -= u32::from(!self.l1.has(Flaw::DropsBeforeChange));
                busy.operations -= 1;
                busy.own = None;
                if busy.operations == 0 {
                    shard.remove(&self.key);
                }
            }
        });
    }

    fn conclude(&self, known: Known) {
        let (l1, key) = (&*self.l1, &self.key);
        l1.under_way.at(key, |shard| {
            let Some(busy) = shard.get_mut(key) else { return };
            busy.changes -= 1;
            busy.operations -= 1;
            let overlapped = !self.alone || busy.moved != self.moved;
            let trusted = !overlapped || l1.has(Flaw::TrustsOverlaps);
            let echoed = matches!(busy.own.take(), Some((_, true)));
            l1.disturb(busy);
            if busy.operations == 0 {
                shard.remove(key);
            }
            let epoch = self.epoch.filter(|_| trusted && l1.gate.epoch() == self.epoch);
            match (known, epoch) {
                (Known::Record(record, own), Some(epoch)) => {
                    let mut entry = Entry::new(&record, self.asked, l1.max_staleness, epoch);
                    entry.awaits_echo = own && l1.is_watched && !echoed;
                    if own && echoed {
                        l1.lag.heard_at_once();
                    } else if own && l1.is_watched {
                        l1.lag.begin(key, l1.clock.now());
                    }
                    l1.keep(key, entry);
                }
                (Known::Lives(ttl), Some(_)) => match l1.current(key) {
                    // As old as it was: what is touched need not be what is kept here.
                    Some(entry) => l1.keep(key, Entry { expires_at: self.asked.after(ttl), ..entry }),
                    None => l1.drop_entry(key, Count::Own),
                },
                _ => l1.drop_entry(key, Count::Own),
            }
        });
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        if !self.ended {
            self.conclude(Known::Nothing);
        }
    }
}
