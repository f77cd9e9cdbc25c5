//! Making room: purges expired records and, where that is allowed, evicts live ones.

use std::{iter, mem};

use parking_lot::Mutex;
use session_core::{Error, ErrorKind, Event, Operation, Result, SessionKey, Write};

use crate::{builder::WhenFull, inner::Inner, shard::Shard, stored_record::StoredRecord};

/// How many records a purge frees before it releases the lock to others.
const PURGED_PER_LOCK: usize = 64;

/// How many expired records a write frees if no thread purges the store. It is more than the one
/// record that the write adds, so that expired records do not pile up.
const PURGED_PER_WRITE: usize = 2;

impl Inner {
    /// Makes room for a write that was refused. The first attempt frees expired records. Each
    /// further attempt of the same write evicts one session, if the settings allow that. The
    /// session under `spared`, which is being saved, is never evicted.
    pub(crate) fn make_room(
        &self,
        spared: &SessionKey,
        write: &Write,
        operation: Operation,
        swept: &mut bool,
    ) -> Result<()> {
        if !mem::replace(swept, true) {
            // Even if this finds nothing, a purge beside it may have made room.
            self.purge(usize::MAX);
            return Ok(());
        }
        let may_evict = self.when_full == WhenFull::EvictFirstToExpire && self.limits.can_ever_hold(write);
        if may_evict && self.evict(spared) {
            return Ok(());
        }
        let limits = self.limits.describe();
        Err(Error::new(ErrorKind::Full, operation)
            .because(format!("the limit is {limits}; raise it, shorten the ttl, or allow eviction")))
    }

    /// Evicts the session that expires first in the shard of `spared`, or in the next shard that
    /// has another session.
    fn evict(&self, spared: &SessionKey) -> bool {
        let start = self.index(spared);
        let mut shards = self.shards[start..].iter().chain(&self.shards[..start]);
        let Some(slot) = shards.find_map(|shard| self.evict_from(shard, spared)) else { return false };
        self.events.tell(Event::Deleted { key: slot.key });
        true
    }

    fn evict_from(&self, shard: &Mutex<Shard>, spared: &SessionKey) -> Option<StoredRecord> {
        let mut shard = shard.lock();
        let slot = shard.remove_first_to_expire(spared)?;
        self.limits.release(&slot);
        Some(slot)
    }

    /// Frees up to `limit` expired records, a few per lock. Returns how many it freed.
    pub(crate) fn purge(&self, limit: usize) -> usize {
        let mut freed = 0;
        for shard in self.shards() {
            while freed < limit {
                let some = self.take_expired(&mut shard.lock(), PURGED_PER_LOCK.min(limit - freed));
                if some.is_empty() {
                    break;
                }
                freed += some.len();
                for slot in some {
                    self.events.tell(Event::Expired { key: slot.key });
                }
            }
        }
        freed
    }

    /// Takes some expired records out of a shard that is about to be written, if no thread purges
    /// the store.
    pub(crate) fn purge_beside_a_write(&self, shard: &mut Shard) -> Vec<StoredRecord> {
        if self.purger.is_running() { Vec::new() } else { self.take_expired(shard, PURGED_PER_WRITE) }
    }

    /// Takes up to `limit` expired records out of a shard and of the limits' counters. The caller
    /// must drop them after the lock is released.
    pub(crate) fn take_expired(&self, shard: &mut Shard, limit: usize) -> Vec<StoredRecord> {
        let now = self.clock.now();
        let expired = iter::from_fn(|| shard.remove_expired(now)).take(limit);
        expired.inspect(|slot| self.limits.release(slot)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use session_core::{SessionId, Ttl, When};

    use super::*;
    use crate::MemoryStore;

    fn write(len: usize, seconds: u64) -> Write {
        Write::new(vec![b'x'; len], Ttl::new(Duration::from_secs(seconds)).expect("a ttl within the range"))
    }

    fn put(inner: &Inner, key: &SessionKey, write: Write) {
        assert!(inner.write(key, write, When::Any).expect("there is room").is_written());
    }

    /// Keys of one shard.
    fn neighbours<const N: usize>(inner: &Inner) -> [SessionKey; N] {
        let first = SessionId::generate().key();
        std::array::from_fn(|_| {
            let mut keys = iter::repeat_with(|| SessionId::generate().key());
            keys.find(|key| inner.index(key) == inner.index(&first)).expect("one of 256")
        })
    }

    #[test]
    fn where_eviction_is_allowed_the_first_to_expire_goes() {
        let settings = MemoryStore::builder().max_sessions(3).when_full(WhenFull::EvictFirstToExpire);
        let inner = Inner::new(&settings);
        let [soon, sooner, late, new] = neighbours(&inner);
        for (key, seconds) in [(&soon, 50), (&sooner, 40), (&late, 90)] {
            put(&inner, key, write(1, seconds));
        }
        // A touch saves the one that would have been first.
        assert!(inner.touch(&sooner, Ttl::new(Duration::from_secs(70)).expect("a ttl")));
        put(&inner, &new, write(1, 60));
        let left = [&soon, &sooner, &late, &new].map(|key| inner.read(key).is_some());
        assert_eq!(left, [false, true, true, true]);
    }

    #[test]
    fn a_save_does_not_evict_its_own_session_of_the_same_shard() {
        let settings = MemoryStore::builder().max_bytes(100).when_full(WhenFull::EvictFirstToExpire);
        let inner = Inner::new(&settings);
        let [mine, theirs] = neighbours(&inner);
        put(&inner, &mine, write(50, 10));
        put(&inner, &theirs, write(50, 3600));
        put(&inner, &mine, write(60, 10));
        assert!(inner.read(&theirs).is_none(), "mine expires first, but it is being saved");
        assert_eq!(inner.read(&mine).expect("it was just saved").data.len(), 60);
    }

    #[test]
    fn no_byte_of_a_key_chooses_its_lock() {
        let inner = Inner::new(&MemoryStore::builder());
        let id = SessionId::generate();
        // All ids of one session begin with the same byte; a client could choose such ids, too.
        let locks: std::collections::HashSet<usize> =
            (0..1_000).map(|_| inner.index(&id.rotate().key())).collect();
        assert!(locks.len() > 128, "{} locks for 1,000 keys", locks.len());
    }
}
