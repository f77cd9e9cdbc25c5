use std::mem;

use crossbeam_utils::CachePadded;
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
    slot::Slot,
};

/// One shard for each value of a key's shard byte: a rotation keeps that byte, so old and new record share a lock.
const SHARDS: usize = 256;

/// What all handles on one store share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) shards: Box<[CachePadded<Mutex<Shard>>]>,
    pub(crate) clock: Clock,
    pub(crate) events: Events,
    pub(crate) max_data_len: usize,
    pub(crate) limits: Limits,
    pub(crate) when_full: WhenFull,
    /// Held in common by who moves a record from one shard to another, and alone by who must not miss one that moves.
    pub(crate) moves: RwLock<()>,
    pub(crate) purger: Purger,
}

impl Inner {
    pub(crate) fn new(settings: &MemoryStoreBuilder) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| CachePadded::default()).collect(),
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

    fn shard(&self, key: &SessionKey) -> &Mutex<Shard> {
        &self.shards[usize::from(key.shard())]
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

    /// Gives the write back if there is no room for it.
    fn try_write(
        &self,
        key: &SessionKey,
        write: Write,
        when: When,
    ) -> Result<(WriteOutcome, Garbage), Write> {
        let mut shard = self.shard(key).lock();
        let now = self.clock.now();
        shard.write(key, write, when, now, |replaced, write| self.limits.admit(replaced, write))
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

    /// Gives the write back if there is no room for it.
    fn try_rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        mut write: Write,
        expected: Version,
    ) -> Result<(RenameOutcome, [Garbage; 2]), Write> {
        let unchanged = |outcome| Ok((outcome, [Garbage::default(), Garbage::default()]));
        let _moving = (old.shard() != new.shard()).then(|| self.moves.read());
        let mut shards = self.lock_both(old, new);
        let now = self.clock.now();
        let taken_by = shards.of(new).live(new, now).map(|slot| slot.version);
        let current = match shards.of(old).live(old, now) {
            Some(slot) if slot.version == expected && taken_by.is_some() => {
                return unchanged(RenameOutcome::Occupied);
            }
            Some(slot) if slot.version == expected => slot,
            // This very rename, delivered again.
            None if taken_by == Some(write.version) => return unchanged(RenameOutcome::Renamed),
            other => return unchanged(RenameOutcome::Conflict(other.map(|slot| slot.record(now)))),
        };
        // The new record takes the old one's place, so that a login works in a full store, too.
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

    /// Locks the shards of two keys, in the order of the shards, so that two renames cannot wait for each other.
    fn lock_both(&self, old: &SessionKey, new: &SessionKey) -> Both<'_> {
        if old.shard() == new.shard() {
            return Both { first: self.shard(old).lock(), second: None, second_is: 0 };
        }
        let (low, high) = if old.shard() < new.shard() { (old, new) } else { (new, old) };
        let first = self.shard(low).lock();
        Both { first, second: Some(self.shard(high).lock()), second_is: high.shard() }
    }

    fn check_len(&self, write: &Write, operation: Operation) -> Result<()> {
        if write.data.len() > self.max_data_len {
            return Err(Error::too_large(operation, write.data.len(), self.max_data_len));
        }
        Ok(())
    }

    /// Removes a record, live or not, and its weight, from its shard. To be dropped when the lock is free.
    pub(crate) fn take_out(&self, shard: &mut Shard, key: &SessionKey) -> Option<Slot> {
        let slot = shard.remove(key)?;
        self.limits.release(&slot);
        Some(slot)
    }
}

/// The locked shards of two keys, which may be one shard.
struct Both<'a> {
    first: MutexGuard<'a, Shard>,
    second: Option<MutexGuard<'a, Shard>>,
    second_is: u8,
}

impl Both<'_> {
    fn of(&mut self, key: &SessionKey) -> &mut Shard {
        match &mut self.second {
            Some(second) if self.second_is == key.shard() => second,
            _ => &mut self.first,
        }
    }
}
