use std::mem;

use hashbrown::HashTable;
use session_core::{Bytes, Owner, OwnerChange, SessionKey, When, Write, WriteOutcome};

use crate::{clock::Moment, expiry_queue::ExpiryQueue, owner_keys::OwnerKeys, stored_record::StoredRecord};

/// What a change has replaced or removed. It is dropped after the lock is released, because freeing
/// memory takes longer than the change.
#[derive(Default)]
#[allow(dead_code, reason = "it is only dropped")]
pub(crate) struct Garbage {
    data: Option<Bytes>,
    owner: Option<Owner>,
    slot: Option<StoredRecord>,
}

impl From<Option<StoredRecord>> for Garbage {
    fn from(slot: Option<StoredRecord>) -> Self {
        Self { slot, ..Self::default() }
    }
}

/// A part of the store under one lock. Its records, expiry queue and owner index always agree.
#[derive(Default)]
pub(crate) struct Shard {
    slots: HashTable<StoredRecord>,
    queue: ExpiryQueue,
    owners: OwnerKeys,
}

impl Shard {
    /// The record under a key, live or not.
    pub(crate) fn get(&self, key: &SessionKey) -> Option<&StoredRecord> {
        self.slots.find(key.hash64(), |slot| slot.key == *key)
    }

    pub(crate) fn live(&self, key: &SessionKey, now: Moment) -> Option<&StoredRecord> {
        self.get(key).filter(|slot| slot.is_live(now))
    }

    /// How many records are stored, live or not.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &StoredRecord> {
        self.slots.iter()
    }

    pub(crate) fn owned_by(&self, owner: &Owner, now: Moment) -> impl Iterator<Item = &SessionKey> {
        self.owners.of(owner).filter(move |key| self.live(key, now).is_some())
    }

    /// Stores `write` under `key` if the condition holds and `admit` has room for it in place of
    /// the stored record. Returns the write as the error if there is no room.
    pub(crate) fn write(
        &mut self,
        key: &SessionKey,
        write: Write,
        when: When,
        now: Moment,
        admit: impl FnOnce(Option<&StoredRecord>, &Write) -> bool,
    ) -> Result<(WriteOutcome, Garbage), Write> {
        let Some(slot) = self.slots.find_mut(key.hash64(), |slot| slot.key == *key) else {
            if !when.holds(None) {
                return Ok((WriteOutcome::Conflict(None), Garbage::default()));
            }
            if !admit(None, &write) {
                return Err(write);
            }
            self.insert(key, write, now);
            return Ok((WriteOutcome::Written, Garbage::default()));
        };
        let live = slot.is_live(now).then_some(slot.version);
        if live == Some(write.version) {
            return Ok((WriteOutcome::Written, Garbage::default()));
        }
        if !when.holds(live) {
            return Ok((WriteOutcome::Conflict(live.map(|_| slot.record(now))), Garbage::default()));
        }
        if !admit(Some(slot), &write) {
            return Err(write);
        }
        // Keeping the owner, the common case, costs the index nothing. An expired record does not
        // pass its owner on.
        let owner = match (live, write.owner) {
            (Some(_), OwnerChange::Keep) => None,
            (_, change) => self.owners.change(key, &mut slot.owner, change.apply(None)),
        };
        let data = Some(mem::replace(&mut slot.data, write.data));
        slot.version = write.version;
        Self::expire_at(slot, now.after(write.ttl), &mut self.queue);
        self.sort_out_reminders();
        Ok((WriteOutcome::Written, Garbage { data, owner, slot: None }))
    }

    fn insert(&mut self, key: &SessionKey, write: Write, now: Moment) {
        let (hash, expires_at) = (key.hash64(), now.after(write.ttl));
        let owner = write.owner.apply(None);
        if let Some(owner) = &owner {
            self.owners.add(owner, *key);
        }
        self.queue.remind(expires_at, hash);
        let slot = StoredRecord {
            key: *key,
            data: write.data,
            version: write.version,
            owner,
            expires_at,
            reminder: expires_at,
        };
        self.slots.insert_unique(hash, slot, |slot| slot.key.hash64());
    }

    /// Sets the expiry of a live record. Returns whether there is one.
    pub(crate) fn touch(&mut self, key: &SessionKey, until: Moment, now: Moment) -> bool {
        let slot = self.slots.find_mut(key.hash64(), |slot| slot.key == *key);
        match slot.filter(|slot| slot.is_live(now)) {
            None => false,
            Some(slot) => {
                Self::expire_at(slot, until, &mut self.queue);
                self.sort_out_reminders();
                true
            }
        }
    }

    fn expire_at(slot: &mut StoredRecord, until: Moment, queue: &mut ExpiryQueue) {
        slot.expires_at = until;
        if until < slot.reminder {
            slot.reminder = until;
            queue.remind(until, slot.key.hash64());
        }
    }

    /// Removes the record under a key, live or not. The caller must drop it without the lock.
    pub(crate) fn remove(&mut self, key: &SessionKey) -> Option<StoredRecord> {
        let entry = self.slots.find_entry(key.hash64(), |slot| slot.key == *key).ok()?;
        let (slot, _) = entry.remove();
        self.forget(&slot);
        self.sort_out_reminders();
        Some(slot)
    }

    /// Drops stale reminders once they are the majority.
    fn sort_out_reminders(&mut self) {
        if self.queue.is_mostly_stale(self.slots.len()) {
            let slots = &self.slots;
            self.queue.retain(|at, hash| slots.find(hash, |slot| is_reminded(slot, at, hash)).is_some());
        }
    }

    /// Removes one record that has expired.
    pub(crate) fn remove_expired(&mut self, now: Moment) -> Option<StoredRecord> {
        while let Some((at, hash)) = self.queue.pop_due(now) {
            if let Some(slot) = self.follow_up(at, hash, |slot| !slot.is_live(now)) {
                return Some(slot);
            }
        }
        None
    }

    /// Removes the record that expires first, except the one under `spared`.
    pub(crate) fn remove_first_to_expire(&mut self, spared: &SessionKey) -> Option<StoredRecord> {
        let mut spared_reminder = None;
        let mut first = None;
        while let Some((at, hash)) = self.queue.pop() {
            if self.get(spared).is_some_and(|slot| is_reminded(slot, at, hash)) {
                spared_reminder = Some((at, hash));
                continue;
            }
            first = self.follow_up(at, hash, |slot| slot.expires_at <= at);
            if first.is_some() {
                break;
            }
        }
        if let Some((at, hash)) = spared_reminder {
            self.queue.remind(at, hash);
        }
        first
    }

    /// Checks the record of a reminder: removes the record if it is due, or else queues a new
    /// reminder.
    fn follow_up(
        &mut self,
        at: Moment,
        hash: u64,
        is_due: impl Fn(&StoredRecord) -> bool,
    ) -> Option<StoredRecord> {
        let mut entry = self.slots.find_entry(hash, |slot| is_reminded(slot, at, hash)).ok()?;
        if is_due(entry.get()) {
            let (slot, _) = entry.remove();
            self.forget(&slot);
            return Some(slot);
        }
        let slot = entry.get_mut();
        slot.reminder = slot.expires_at;
        self.queue.remind(slot.expires_at, hash);
        None
    }

    fn forget(&mut self, slot: &StoredRecord) {
        if let Some(owner) = &slot.owner {
            self.owners.remove(owner, &slot.key);
        }
    }
}

fn is_reminded(slot: &StoredRecord, at: Moment, hash: u64) -> bool {
    slot.key.hash64() == hash && slot.reminder == at
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use session_core::{SessionId, Ttl};

    use super::*;
    use crate::clock::Clock;

    fn write(millis: u64) -> Write {
        Write::new("x", Ttl::new(Duration::from_millis(millis)).expect("a ttl within the range"))
    }

    fn put(shard: &mut Shard, key: &SessionKey, write: Write, now: Moment) {
        assert!(shard.write(key, write, When::Any, now, |_, _| true).is_ok());
    }

    fn after(now: Moment, millis: u64) -> Moment {
        now.after(Ttl::new(Duration::from_millis(millis)).expect("a ttl within the range"))
    }

    #[test]
    fn a_purge_looks_only_at_what_is_due() {
        let (mut shard, now) = (Shard::default(), Clock::start().now());
        for n in 0..10_000 {
            let ttl = if n % 100 == 0 { 10 } else { 60_000 };
            put(&mut shard, &SessionId::generate().key(), write(ttl), now);
        }
        let reminders = shard.queue.len();
        let mut freed = 0;
        while shard.remove_expired(after(now, 10)).is_some() {
            freed += 1;
        }
        assert_eq!((freed, shard.len()), (100, 9_900));
        assert_eq!(
            reminders - shard.queue.len(),
            100,
            "reminders of records that are not due were taken out"
        );
    }

    #[test]
    fn renewals_cost_the_queue_nothing_until_their_reminder_is_due() {
        let (mut shard, now, key) = (Shard::default(), Clock::start().now(), SessionId::generate().key());
        put(&mut shard, &key, write(100), now);
        for millis in 1..100 {
            assert!(shard.touch(&key, after(now, 100 + millis), after(now, millis)));
            put(&mut shard, &key, write(100), after(now, millis));
        }
        assert_eq!(shard.queue.len(), 1);
        assert!(shard.remove_expired(after(now, 150)).is_none(), "it was renewed until 199");
        assert_eq!(shard.queue.len(), 1);
        assert!(shard.remove_expired(after(now, 199)).is_some());
    }

    #[test]
    fn a_ttl_that_goes_back_and_forth_leaves_no_reminders_behind() {
        let (mut shard, mut now, key) = (Shard::default(), Clock::start().now(), SessionId::generate().key());
        put(&mut shard, &key, write(60_000), now);
        for _ in 0..10_000 {
            assert!(shard.touch(&key, after(now, 2), now));
            assert!(shard.touch(&key, after(now, 60_000), now));
            now = after(now, 2);
            assert!(shard.remove_expired(now).is_none());
        }
        assert!(shard.queue.len() < 200, "{} reminders for one record", shard.queue.len());
    }

    #[test]
    fn the_spared_record_is_still_reminded_of() {
        let (mut shard, now) = (Shard::default(), Clock::start().now());
        let [spared, other] = [(); 2].map(|()| SessionId::generate().key());
        put(&mut shard, &spared, write(10), now);
        put(&mut shard, &other, write(20), now);
        assert!(shard.remove_first_to_expire(&spared).is_some_and(|slot| slot.key == other));
        assert!(shard.remove_first_to_expire(&spared).is_none());
        assert!(shard.remove_expired(after(now, 10)).is_some_and(|slot| slot.key == spared));
    }

    #[test]
    fn reminders_of_deleted_records_do_not_pile_up() {
        let (mut shard, now) = (Shard::default(), Clock::start().now());
        let staying = SessionId::generate().key();
        put(&mut shard, &staying, write(60_000), now);
        for _ in 0..100_000 {
            let key = SessionId::generate().key();
            put(&mut shard, &key, write(60_000), now);
            shard.remove(&key);
        }
        assert!(shard.queue.len() < 200, "{} reminders for one record", shard.queue.len());
        assert!(shard.remove_expired(after(now, 60_000)).is_some_and(|slot| slot.key == staying));
    }
}
