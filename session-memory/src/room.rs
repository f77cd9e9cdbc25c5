//! Making room: what has expired, and, where that is allowed, what will expire first.

use std::{iter, mem};

use parking_lot::Mutex;
use session_core::{Error, ErrorKind, Event, Operation, Result, SessionKey, Write};

use crate::{builder::WhenFull, inner::Inner, shard::Shard, slot::Slot};

/// How many records a purge frees before it lets others have the lock.
const PURGED_PER_LOCK: usize = 64;

impl Inner {
    /// Makes room for a write that was refused: at first by freeing what has expired, then, in each further attempt of the same
    /// write, by ending one session, if the settings allow that. Never ends the one under `spared`, which is what is being saved.
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

    /// Ends the session that expires first in the shard of `spared`, or in the next one that has another.
    fn evict(&self, spared: &SessionKey) -> bool {
        let start = usize::from(spared.shard());
        let mut shards = self.shards[start..].iter().chain(&self.shards[..start]);
        let Some(slot) = shards.find_map(|shard| self.evict_from(shard, spared)) else { return false };
        self.events.tell(Event::Deleted { key: slot.key });
        true
    }

    fn evict_from(&self, shard: &Mutex<Shard>, spared: &SessionKey) -> Option<Slot> {
        let mut shard = shard.lock();
        let slot = shard.remove_first_to_expire(spared)?;
        self.limits.release(&slot);
        Some(slot)
    }

    /// Frees up to `limit` expired records, a few under each lock. Returns how many.
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

    /// Takes up to `limit` expired records, and their weight, out of a shard. To be dropped when the lock is free.
    pub(crate) fn take_expired(&self, shard: &mut Shard, limit: usize) -> Vec<Slot> {
        let now = self.clock.now();
        let expired = iter::from_fn(|| shard.remove_expired(now)).take(limit);
        expired.inspect(|slot| self.limits.release(slot)).collect()
    }
}
