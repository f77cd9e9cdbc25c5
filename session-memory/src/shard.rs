use hashbrown::HashTable;
use session_core::{Owner, SessionKey, Write};

use crate::{clock::Moment, expiry_queue::ExpiryQueue, owner_keys::OwnerKeys, slot::Slot};

/// A part of the store under one lock: records, their expiry and their owners, which therefore always agree.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    slots: HashTable<Slot>,
    queue: ExpiryQueue,
    owners: OwnerKeys,
}

impl Shard {
    /// The record under a key, live or not.
    pub(crate) fn get(&self, key: &SessionKey) -> Option<&Slot> {
        self.slots.find(key.hash64(), |slot| slot.key == *key)
    }

    pub(crate) fn live(&self, key: &SessionKey, now: Moment) -> Option<&Slot> {
        self.get(key).filter(|slot| slot.is_live(now))
    }

    /// How many records are stored, live or not.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter()
    }

    pub(crate) fn owned_by(&self, owner: &Owner, now: Moment) -> impl Iterator<Item = &SessionKey> {
        self.owners.of(owner).filter(move |key| self.live(key, now).is_some())
    }

    /// Makes the record under `key` what `write` says, with this owner. Returns what was replaced, to be dropped without the lock.
    pub(crate) fn put(
        &mut self,
        key: &SessionKey,
        write: Write,
        owner: Option<Owner>,
        now: Moment,
    ) -> Option<Slot> {
        let expires_at = now.after(write.ttl);
        let hash = key.hash64();
        let mut next = Slot {
            key: *key,
            data: write.data,
            version: write.version,
            owner,
            expires_at,
            reminder: expires_at,
        };
        let Some(slot) = self.slots.find_mut(hash, |slot| slot.key == *key) else {
            if let Some(owner) = &next.owner {
                self.owners.add(owner, *key);
            }
            self.queue.remind(expires_at, hash);
            self.slots.insert_unique(hash, next, |slot| slot.key.hash64());
            return None;
        };
        if slot.owner != next.owner {
            if let Some(before) = &slot.owner {
                self.owners.remove(before, key);
            }
            if let Some(owner) = &next.owner {
                self.owners.add(owner, *key);
            }
        }
        next.reminder = slot.reminder;
        let replaced = std::mem::replace(slot, next);
        Self::expire_at(slot, expires_at, &mut self.queue);
        self.sort_out_reminders();
        Some(replaced)
    }

    /// Moves the expiry of a live record.
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

    fn expire_at(slot: &mut Slot, until: Moment, queue: &mut ExpiryQueue) {
        slot.expires_at = until;
        if until < slot.reminder {
            slot.reminder = until;
            queue.remind(until, slot.key.hash64());
        }
    }

    /// Removes the record under a key, live or not, to be dropped without the lock.
    pub(crate) fn remove(&mut self, key: &SessionKey) -> Option<Slot> {
        let entry = self.slots.find_entry(key.hash64(), |slot| slot.key == *key).ok()?;
        let (slot, _) = entry.remove();
        self.forget(&slot);
        self.sort_out_reminders();
        Some(slot)
    }

    /// Drops the reminders that are of no use any more, once they are most of all.
    fn sort_out_reminders(&mut self) {
        if self.queue.is_mostly_stale(self.slots.len()) {
            let slots = &self.slots;
            self.queue.retain(|at, hash| slots.find(hash, |slot| is_reminded(slot, at, hash)).is_some());
        }
    }

    /// Removes one record that has expired.
    pub(crate) fn remove_expired(&mut self, now: Moment) -> Option<Slot> {
        while let Some((at, hash)) = self.queue.pop_due(now) {
            if let Some(slot) = self.follow_up(at, hash, |slot| !slot.is_live(now)) {
                return Some(slot);
            }
        }
        None
    }

    /// Removes the record that is closest to its end, but not the one under `spared`.
    pub(crate) fn remove_first_to_expire(&mut self, spared: &SessionKey) -> Option<Slot> {
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

    /// Looks at the record that a reminder was for: removes it if it is due, or has it looked at later.
    fn follow_up(&mut self, at: Moment, hash: u64, is_due: impl Fn(&Slot) -> bool) -> Option<Slot> {
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

    fn forget(&mut self, slot: &Slot) {
        if let Some(owner) = &slot.owner {
            self.owners.remove(owner, &slot.key);
        }
    }
}

fn is_reminded(slot: &Slot, at: Moment, hash: u64) -> bool {
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

    fn after(now: Moment, millis: u64) -> Moment {
        now.after(Ttl::new(Duration::from_millis(millis)).expect("a ttl within the range"))
    }

    #[test]
    fn a_purge_looks_only_at_what_is_due() {
        let (mut shard, now) = (Shard::default(), Clock::start().now());
        for n in 0..10_000 {
            let ttl = if n % 100 == 0 { 10 } else { 60_000 };
            shard.put(&SessionId::generate().key(), write(ttl), None, now);
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
        shard.put(&key, write(100), None, now);
        for millis in 1..100 {
            assert!(shard.touch(&key, after(now, 100 + millis), after(now, millis)));
            shard.put(&key, write(100), None, after(now, millis));
        }
        assert_eq!(shard.queue.len(), 1);
        assert!(shard.remove_expired(after(now, 150)).is_none(), "it was renewed until 199");
        assert_eq!(shard.queue.len(), 1);
        assert!(shard.remove_expired(after(now, 199)).is_some());
    }

    #[test]
    fn a_ttl_that_goes_back_and_forth_leaves_no_reminders_behind() {
        let (mut shard, mut now, key) = (Shard::default(), Clock::start().now(), SessionId::generate().key());
        shard.put(&key, write(60_000), None, now);
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
        shard.put(&spared, write(10), None, now);
        shard.put(&other, write(20), None, now);
        assert!(shard.remove_first_to_expire(&spared).is_some_and(|slot| slot.key == other));
        assert!(shard.remove_first_to_expire(&spared).is_none());
        assert!(shard.remove_expired(after(now, 10)).is_some_and(|slot| slot.key == spared));
    }

    #[test]
    fn reminders_of_deleted_records_do_not_pile_up() {
        let (mut shard, now) = (Shard::default(), Clock::start().now());
        let staying = SessionId::generate().key();
        shard.put(&staying, write(60_000), None, now);
        for _ in 0..100_000 {
            let key = SessionId::generate().key();
            shard.put(&key, write(60_000), None, now);
            shard.remove(&key);
        }
        assert!(shard.queue.len() < 200, "{} reminders for one record", shard.queue.len());
        assert!(shard.remove_expired(after(now, 60_000)).is_some_and(|slot| slot.key == staying));
    }
}
