use std::{fmt, hash::BuildHasher, mem};

use crossbeam_utils::CachePadded;
use foldhash::fast::RandomState;
use parking_lot::{Mutex, MutexGuard, RwLock};
use session_core::{
    DeleteOutcome, Error, Event, Expected, Operation, OwnerChange, Record, RenameOutcome, Result, SessionKey,
    Ttl, Version, When, Write, WriteOutcome,
};

use crate::{
    builder::{MemoryStoreBuilder, WhenFull},
    clock::Clock,
    events::Events,
    limits::Limits,
    purger::Purger,
    shard::{Garbage, Shard},
    stored_record::StoredRecord,
};

/// One shard for each value of one byte of a key's [hash](Inner::index).
const SHARDS: usize = 256;

/// The state that all handles on one store share.
pub(crate) struct Inner {
    pub(crate) shards: Box<[CachePadded<Mutex<Shard>>]>,
    choice: RandomState,
    pub(crate) clock: Clock,
    pub(crate) events: Events,
    pub(crate) max_data_len: usize,
    pub(crate) limits: Limits,
    pub(crate) when_full: WhenFull,
    /// Read-locked by renames across shards; write-locked by scans of all shards, which must not
    /// miss a record that moves.
    pub(crate) moves: RwLock<()>,
    pub(crate) purger: Purger,
}

impl Inner {
    pub(crate) fn new(settings: &MemoryStoreBuilder) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| CachePadded::default()).collect(),
            choice: RandomState::default(),
            clock: Clock::start(),
            events: Events::new(settings.watch_capacity),
            max_data_len: settings.max_data_len,
            limits: Limits::new(settings.max_sessions, settings.max_bytes),
            when_full: settings.when_full,
            moves: RwLock::default(),
            purger: Purger::default(),
        }
    }

    pub(crate) fn shards(&self) -> impl Iterator<Item = &Mutex<Shard>> {
        self.shards.iter().map(|shard| &**shard)
    }

    /// The index of a key's shard, by a hash with a random key for each store.
    ///
    /// A client chooses the id that it presents and can, by trying ids, choose any byte of the key.
    /// If a part of the key chose the shard, a flood of unknown ids could target one lock and block
    /// all sessions behind it.
    pub(crate) fn index(&self, key: &SessionKey) -> usize {
        let [byte, ..] = self.choice.hash_one(key.hash64()).to_be_bytes();
        usize::from(byte)
    }

    fn shard(&self, key: &SessionKey) -> &Mutex<Shard> {
        &self.shards[self.index(key)]
    }

    pub(crate) fn read(&self, key: &SessionKey) -> Option<Record> {
        let shard = self.shard(key).lock();
        let now = self.clock.now();
        shard.live(key, now).map(|slot| slot.record(now))
    }

    pub(crate) fn touch(&self, key: &SessionKey, ttl: Ttl) -> bool {
        let version = {
            let mut shard = self.shard(key).lock();
            let now = self.clock.now();
            if !shard.touch(key, now.after(ttl), now) {
                return false;
            }
            shard.get(key).map(|slot| slot.version)
        };
        self.events.tell(Event::Changed { key: *key, version });
        true
    }

    pub(crate) fn delete(&self, key: &SessionKey, expected: Expected) -> DeleteOutcome {
        let garbage = {
            let mut shard = self.shard(key).lock();
            let now = self.clock.now();
            match shard.live(key, now) {
                None => return DeleteOutcome::Absent,
                Some(slot) if !expected.matches(slot.version) => return DeleteOutcome::Conflict,
                Some(_) => self.take_out(&mut shard, key),
            }
        };
        drop(garbage);
        self.events.tell(Event::Deleted { key: *key });
        DeleteOutcome::Deleted
    }

    pub(crate) fn write(&self, key: &SessionKey, mut write: Write, when: When) -> Result<WriteOutcome> {
        self.check_len(&write, Operation::Write)?;
        let version = write.version;
        let mut swept = false;
        loop {
            match self.try_write(key, write, when) {
                Ok((outcome, garbage)) => {
                    drop(garbage);
                    if outcome.is_written() {
                        self.events.tell(Event::Changed { key: *key, version: Some(version) });
                    }
                    return Ok(outcome);
                }
                Err(refused) => {
                    self.make_room(key, &refused, Operation::Write, &mut swept)?;
                    write = refused;
                }
            }
        }
    }

    /// Returns the write as the error if there is no room for it.
    fn try_write(
        &self,
        key: &SessionKey,
        write: Write,
        when: When,
    ) -> Result<(WriteOutcome, Garbage), Write> {
        let (outcome, expired) = {
            let mut shard = self.shard(key).lock();
            let expired = self.purge_beside_a_write(&mut shard);
            let now = self.clock.now();
            (
                shard.write(key, write, when, now, |replaced, write| self.limits.admit(replaced, write)),
                expired,
            )
        };
        for slot in expired {
            self.events.tell(Event::Expired { key: slot.key });
        }
        outcome
    }

    pub(crate) fn rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        mut write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        self.check_len(&write, Operation::Rename)?;
        let version = write.version;
        let mut swept = false;
        loop {
            match self.try_rename(old, new, write, expected) {
                Ok((outcome, garbage)) => {
                    drop(garbage);
                    if outcome == RenameOutcome::Renamed {
                        self.events.tell(Event::Changed { key: *new, version: Some(version) });
                        self.events.tell(Event::Deleted { key: *old });
                    }
                    return Ok(outcome);
                }
                Err(refused) => {
                    self.make_room(old, &refused, Operation::Rename, &mut swept)?;
                    write = refused;
                }
            }
        }
    }

    /// Returns the write as the error if there is no room for it.
    fn try_rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        mut write: Write,
        expected: Version,
    ) -> Result<(RenameOutcome, [Garbage; 2]), Write> {
        let unchanged = |outcome| Ok((outcome, [Garbage::default(), Garbage::default()]));
        let _moving = (self.index(old) != self.index(new)).then(|| self.moves.read());
        let mut shards = self.lock_both(old, new);
        let now = self.clock.now();
        let taken_by = shards.of(new).live(new, now).map(|slot| slot.version);
        let current = match shards.of(old).live(old, now) {
            Some(slot) if slot.version == expected && taken_by.is_some() => {
                return unchanged(RenameOutcome::Occupied);
            }
            Some(slot) if slot.version == expected => slot,
            // This rename was already carried out; this is a retry.
            None if taken_by == Some(write.version) => return unchanged(RenameOutcome::Renamed),
            other => return unchanged(RenameOutcome::Conflict(other.map(|slot| slot.record(now)))),
        };
        // The new record replaces the old one, so that a login works in a full store, too.
        if !self.limits.admit(Some(current), &write) {
            return Err(write);
        }
        write.owner = match mem::take(&mut write.owner).apply(current.owner.clone()) {
            Some(owner) => OwnerChange::Set(owner),
            None => OwnerChange::Clear,
        };
        let expired = self.take_out(shards.of(new), new);
        let written = shards.of(new).write(new, write, When::Absent, now, |_, _| true)?;
        debug_assert_eq!(written.0, WriteOutcome::Written, "nothing live is there");
        let renamed = shards.of(old).remove(old);
        Ok((RenameOutcome::Renamed, [expired.into(), renamed.into()]))
    }

    /// Locks the shards of two keys in shard order, so that two renames cannot deadlock.
    fn lock_both(&self, old: &SessionKey, new: &SessionKey) -> Both<'_> {
        let (of_old, of_new) = (self.index(old), self.index(new));
        let (low, high) = (of_old.min(of_new), of_old.max(of_new));
        let first = self.shards[low].lock();
        let second = (low != high).then(|| self.shards[high].lock());
        Both { first, second, second_is: if of_old > of_new { *old } else { *new } }
    }

    fn check_len(&self, write: &Write, operation: Operation) -> Result<()> {
        if write.data.len() > self.max_data_len {
            return Err(Error::too_large(operation, write.data.len(), self.max_data_len));
        }
        Ok(())
    }

    /// Removes a record, live or not, from its shard and from the limits' counters. The caller must
    /// drop it after the lock is released.
    pub(crate) fn take_out(&self, shard: &mut Shard, key: &SessionKey) -> Option<StoredRecord> {
        let slot = shard.remove(key)?;
        self.limits.release(&slot);
        Some(slot)
    }
}

// Written by hand, because session data must not be logged.
impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stored: usize = self.shards().map(|shard| shard.lock().len()).sum();
        f.debug_struct("MemoryStore")
            .field("stored", &stored)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// The locked shards of two keys, which may be one shard.
struct Both<'a> {
    first: MutexGuard<'a, Shard>,
    second: Option<MutexGuard<'a, Shard>>,
    second_is: SessionKey,
}

impl Both<'_> {
    fn of(&mut self, key: &SessionKey) -> &mut Shard {
        match &mut self.second {
            Some(second) if self.second_is == *key => second,
            _ => &mut self.first,
        }
    }
}
