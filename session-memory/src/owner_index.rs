use session_core::{Event, Owner, OwnerIndex, Result, SessionKey, async_trait};

use crate::MemoryStore;

#[async_trait]
impl OwnerIndex for MemoryStore {
    async fn list(&self, owner: &Owner) -> Result<Vec<SessionKey>> {
        let mut keys = Vec::new();
        let _nothing_moves = self.inner.moves.write();
        for shard in self.inner.shards() {
            let shard = shard.lock();
            keys.extend(shard.owned_by(owner, self.inner.clock.now()));
        }
        Ok(keys)
    }

    async fn count(&self, owner: &Owner) -> Result<u64> {
        let _nothing_moves = self.inner.moves.write();
        let in_shard = |shard: &parking_lot::Mutex<crate::shard::Shard>| {
            let shard = shard.lock();
            shard.owned_by(owner, self.inner.clock.now()).count() as u64
        };
        Ok(self.inner.shards().map(in_shard).sum())
    }

    async fn delete_all(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<Vec<SessionKey>> {
        let mut ended = Vec::new();
        let _nothing_moves = self.inner.moves.write();
        for shard in self.inner.shards() {
            let removed: Vec<_> = {
                let mut shard = shard.lock();
                let now = self.inner.clock.now();
                let theirs: Vec<_> =
                    shard.owned_by(owner, now).filter(|key| Some(*key) != except).copied().collect();
                theirs.iter().filter_map(|key| self.inner.take_out(&mut shard, key)).collect()
            };
            for slot in &removed {
                self.inner.events.tell(Event::Deleted { key: slot.key });
                ended.push(slot.key);
            }
        }
        Ok(ended)
    }
}
