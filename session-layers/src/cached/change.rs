use std::sync::Arc;

use session_core::{
    DeleteOutcome, OwnerChange, Record, RenameOutcome, Result, SessionKey, Ttl, Version, When, Write,
    WriteOutcome,
};

use super::clock::Moment;
use super::{counters::Count, entry::Entry, flaw::Flaw, table::Table};

/// A change of one key through this cache, in flight.
///
/// When it ends, the cache keeps what the store's answer proves. It keeps nothing if the outcome is
/// unknown, or if another change may have overlapped. Dropping a `Change` means that its outcome is
/// unknown.
#[must_use = "dropped, it forgets what is known of the key"]
pub(crate) struct Change {
    table: Arc<Table>,
    key: SessionKey,
    epoch: Option<u64>,
    moved: u64,
    alone: bool,
    asked: Moment,
    /// The change is a write that was certainly not sent before.
    is_first: bool,
    /// The entry when the change began.
    before: Option<Entry>,
    ended: bool,
}

/// What is known of the record after the change.
enum Known {
    Nothing,
    /// The record, and whether this change wrote it.
    Record(Record, bool),
    /// The record's TTL, counted from the moment when the change was sent.
    Lives(Ttl),
}

impl Change {
    /// Begins a change. `version` is the version that it writes.
    pub(crate) fn begin(table: &Arc<Table>, key: &SessionKey, version: Option<Version>) -> Self {
        let before = table.current(key);
        let (moved, alone, epoch) = table.in_flight.at(key, |shard| {
            if table.has(Flaw::DropsBeforeChange) {
                table.drop_entry(key, Count::Own);
            }
            let busy = shard.entry(*key).or_default();
            let alone = busy.changes == 0;
            busy.operations += 1;
            busy.changes += u32::from(!table.has(Flaw::DropsBeforeChange));
            busy.moved += 1;
            busy.own = version.filter(|_| alone).map(|version| (version, false));
            (busy.moved, alone, table.epoch.current())
        });
        let asked = table.clock.now();
        Self {
            table: Arc::clone(table),
            key: *key,
            epoch,
            moved,
            alone,
            asked,
            is_first: version.is_some_and(|version| table.sent.is_first(&version, asked)),
            before,
            ended: false,
        }
    }

    /// Predicts the record if this write takes effect, or returns `None` if it cannot be predicted.
    pub(crate) fn foresee(&self, write: &Write, when: When) -> Option<Record> {
        let version_before = self.before.as_ref().map(|entry| entry.version);
        // Repeating the same write changes nothing, so its TTL counts from the first attempt. Whether
        // a write is the first attempt is known for writes of the last 30 seconds (see `end`). After a
        // later repetition, an entry is used for at most `max_staleness`, so only a record with a short
        // TTL could expire within that time.
        if version_before == Some(write.version) || write.ttl.as_duration() <= 2 * self.table.max_staleness {
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

    /// Ends a write. If it took effect, the record is `foreseen`.
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

    /// Ends a rename, for the old key.
    pub(crate) fn renamed_away(self, outcome: &Result<RenameOutcome>) {
        self.end(
            match outcome {
                Ok(RenameOutcome::Conflict(Some(record))) => Known::Record(record.clone(), false),
                _ => Known::Nothing,
            },
            outcome.is_err(),
        );
    }

    /// Ends a rename, for the new key.
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
        if in_doubt && self.table.has(Flaw::KeepsWhatIsInDoubt) {
            return self.leave();
        }
        if self.table.has(Flaw::DropsBeforeChange) {
            return self.leave();
        }
        let known = match known {
            // A repeated delivery has changed nothing, not even the expiry, and causes no event.
            Known::Record(_, true) if !self.is_first && !self.table.has(Flaw::CountsTtlAnew) => {
                Known::Nothing
            }
            known => known,
        };
        self.conclude(known);
    }

    fn leave(&self) {
        self.table.in_flight.at(&self.key, |shard| {
            if let Some(busy) = shard.get_mut(&self.key) {
                busy.changes -= u32::from(!self.table.has(Flaw::DropsBeforeChange));
                busy.operations -= 1;
                busy.own = None;
                if busy.operations == 0 {
                    shard.remove(&self.key);
                }
            }
        });
    }

    fn conclude(&self, known: Known) {
        let (table, key) = (&*self.table, &self.key);
        table.in_flight.at(key, |shard| {
            let Some(busy) = shard.get_mut(key) else { return };
            busy.changes -= 1;
            busy.operations -= 1;
            let overlapped = !self.alone || busy.moved != self.moved;
            let trusted = !overlapped || table.has(Flaw::TrustsOverlaps);
            let echoed = matches!(busy.own.take(), Some((_, true)));
            table.disturb(busy);
            if busy.operations == 0 {
                shard.remove(key);
            }
            let epoch = self.epoch.filter(|_| trusted && table.epoch.current() == self.epoch);
            match (known, epoch) {
                (Known::Record(record, own), Some(epoch)) => {
                    let mut entry = Entry::new(&record, self.asked, table.max_staleness, epoch);
                    entry.expects_own_event = own && table.is_watched && !echoed;
                    if own && echoed {
                        table.lag.heard_at_once();
                    } else if own && table.is_watched {
                        table.lag.begin(key, table.clock.now());
                    }
                    table.keep(key, entry);
                }
                (Known::Lives(ttl), Some(_)) => match table.current(key) {
                    // `fresh_until` stays: the touched record need not be the cached one.
                    Some(entry) => table.keep(key, Entry { expires_at: self.asked.after(ttl), ..entry }),
                    None => table.drop_entry(key, Count::Own),
                },
                _ => table.drop_entry(key, Count::Own),
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
