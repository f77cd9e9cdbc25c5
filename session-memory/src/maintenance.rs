use session_core::{
    Cursor, Error, ErrorKind, Event, Maintenance, Operation, Page, Result, SessionKey, async_trait,
};

use crate::MemoryStore;

/// Records are listed shard by shard, in key order within a shard. A cursor is the last key of a
/// page.
#[async_trait]
impl Maintenance for MemoryStore {
    async fn page(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        let limit = limit.max(1);
        let after = match cursor {
            None => None,
            Some(cursor) => Some(SessionKey::try_from(cursor.as_bytes()).map_err(|error| {
                Error::new(ErrorKind::Config, Operation::Page)
                    .because("this cursor was not made by this store")
                    .with_source(error)
            })?),
        };
        let mut records = Vec::new();
        let start = after.map_or(0, |key| self.inner.index(&key));
        for (at, shard) in self.inner.shards().enumerate().skip(start) {
            // Only the shard of the cursor's key was listed in part.
            let after = after.filter(|_| at == start);
            let shard = shard.lock();
            let now = self.inner.clock.now();
            let wanted = limit - records.len();
            let mut slots: Vec<_> = shard
                .iter()
                .filter(|slot| slot.is_live(now) && after.is_none_or(|after| slot.key > after))
                .collect();
            if slots.len() > wanted {
                slots.select_nth_unstable_by_key(wanted, |slot| slot.key);
                slots.truncate(wanted);
            }
            slots.sort_unstable_by_key(|slot| slot.key);
            records.extend(slots.into_iter().map(|slot| (slot.key, slot.record(now))));
            if records.len() == limit {
                let next = records.last().map(|(key, _)| Cursor::new(key.as_bytes().to_vec()));
                return Ok(Page { records, next });
            }
        }
        Ok(Page { records, next: None })
    }

    async fn count(&self) -> Result<u64> {
        let mut live = 0;
        for shard in self.inner.shards() {
            let mut shard = shard.lock();
            let expired = self.inner.take_expired(&mut shard, usize::MAX);
            live += shard.len() as u64;
            drop(shard);
            for slot in expired {
                self.inner.events.tell(Event::Expired { key: slot.key });
            }
        }
        Ok(live)
    }

    async fn purge_expired(&self, limit: usize) -> Result<u64> {
        Ok(self.inner.purge(limit.max(1)) as u64)
    }
}
