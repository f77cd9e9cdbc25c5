//! The maps to choose from.

use std::hash::BuildHasher;

use moka::ops::compute::{CompResult, Op};
use moka::policy::EvictionPolicy;
use papaya::{Compute, Operation};

use crate::session::{BuildDigestHasher, Key, Value, Version};
use crate::sharded::Sharded;

/// The operations of a store that reach its map.
///
/// A map that can gives away what it no longer holds: freeing memory that another thread allocated takes longer
/// than the rest of a write and would hide the differences between the maps.
pub(crate) trait SessionMap: Send + Sync {
    fn read(&self, key: &Key) -> Option<Value>;
    /// Replaces the value if it has this version, and says whether it did; then `value` is the replaced one,
    /// or still the new one if the map keeps the replaced one and frees it later by itself.
    fn write_if(&self, key: &Key, expected: &Version, value: &mut Value) -> bool;
    fn insert(&self, key: Key, value: Value);
    /// Removes the session and returns it, or nothing if the map frees it later by itself.
    fn remove(&self, key: &Key) -> Option<Value>;
}

/// A name and how to make an empty map that will hold so many sessions.
pub(crate) struct Candidate {
    pub(crate) name: &'static str,
    pub(crate) make: fn(u32) -> Box<dyn SessionMap>,
}

impl Candidate {
    const fn new(name: &'static str, make: fn(u32) -> Box<dyn SessionMap>) -> Self {
        Self { name, make }
    }
}

type Scc = scc::HashMap<Key, Value, BuildDigestHasher>;
type Dash = dashmap::DashMap<Key, Value, BuildDigestHasher>;
type Papaya = papaya::HashMap<Key, Value, BuildDigestHasher>;
type Moka<S> = moka::sync::Cache<Key, Value, S>;

type Mutex = Sharded<parking_lot::Mutex<crate::sharded::Shard>>;
type RwLock = Sharded<parking_lot::RwLock<crate::sharded::Shard>>;
type StdMutex = Sharded<std::sync::Mutex<crate::sharded::Shard>>;
type StdRwLock = Sharded<std::sync::RwLock<crate::sharded::Shard>>;

/// All of them. The locks are `parking_lot`'s where nothing else is said, the number is that of the shards.
pub(crate) const CANDIDATES: [Candidate; 15] = [
    Candidate::new("scc", |_| Box::new(Scc::default())),
    Candidate::new("dashmap", |_| Box::new(Dash::default())),
    Candidate::new("dashmap 256", |_| {
        Box::new(Dash::with_hasher_and_shard_amount(BuildDigestHasher::default(), 256))
    }),
    Candidate::new("papaya", |_| Box::new(Papaya::default())),
    Candidate::new("RwLock 64", |_| Box::new(RwLock::new(64))),
    Candidate::new("RwLock 256", |_| Box::new(RwLock::new(256))),
    Candidate::new("RwLock 1024", |_| Box::new(RwLock::new(1024))),
    Candidate::new("Mutex 64", |_| Box::new(Mutex::new(64))),
    Candidate::new("Mutex 256", |_| Box::new(Mutex::new(256))),
    Candidate::new("Mutex 1024", |_| Box::new(Mutex::new(1024))),
    Candidate::new("std RwLock 64", |_| Box::new(StdRwLock::new(64))),
    Candidate::new("std RwLock 256", |_| Box::new(StdRwLock::new(256))),
    Candidate::new("std Mutex 256", |_| Box::new(StdMutex::new(256))),
    // A cache evicts what does not fit: leave room, so that it holds what the others hold.
    Candidate::new("moka", |sessions| Box::new(Moka::<std::hash::RandomState>::new(2 * u64::from(sessions)))),
    Candidate::new("moka LRU, same hash", |sessions| {
        let builder = moka::sync::Cache::builder().max_capacity(2 * u64::from(sessions));
        let cache: Moka<_> =
            builder.eviction_policy(EvictionPolicy::lru()).build_with_hasher(BuildDigestHasher::default());
        Box::new(cache)
    }),
];

impl SessionMap for Scc {
    fn read(&self, key: &Key) -> Option<Value> {
        self.read_sync(key, |_, value| value.clone())
    }

    fn write_if(&self, key: &Key, expected: &Version, value: &mut Value) -> bool {
        self.update_sync(key, |_, slot| slot.swap_if(expected, value)).unwrap_or(false)
    }

    fn insert(&self, key: Key, value: Value) {
        self.upsert_sync(key, value);
    }

    fn remove(&self, key: &Key) -> Option<Value> {
        self.remove_sync(key).map(|(_, value)| value)
    }
}

impl SessionMap for Dash {
    fn read(&self, key: &Key) -> Option<Value> {
        self.get(key).map(|value| value.clone())
    }

    fn write_if(&self, key: &Key, expected: &Version, value: &mut Value) -> bool {
        self.get_mut(key).is_some_and(|mut slot| slot.swap_if(expected, value))
    }

    fn insert(&self, key: Key, value: Value) {
        Dash::insert(self, key, value);
    }

    fn remove(&self, key: &Key) -> Option<Value> {
        Dash::remove(self, key).map(|(_, value)| value)
    }
}

impl SessionMap for Papaya {
    fn read(&self, key: &Key) -> Option<Value> {
        self.pin().get(key).cloned()
    }

    fn write_if(&self, key: &Key, expected: &Version, value: &mut Value) -> bool {
        let map = self.pin();
        // The closure may run again, so it cannot give the value away.
        let written = map.compute(*key, |entry| match entry {
            Some((_, slot)) if slot.version == *expected => Operation::Insert(value.clone()),
            _ => Operation::Abort(()),
        });
        matches!(written, Compute::Updated { .. })
    }

    fn insert(&self, key: Key, value: Value) {
        self.pin().insert(key, value);
    }

    fn remove(&self, key: &Key) -> Option<Value> {
        self.pin().remove(key);
        None
    }
}

impl<S: BuildHasher + Clone + Send + Sync + 'static> SessionMap for Moka<S> {
    fn read(&self, key: &Key) -> Option<Value> {
        self.get(key)
    }

    fn write_if(&self, key: &Key, expected: &Version, value: &mut Value) -> bool {
        let written = self.entry_by_ref(key).and_compute_with(|entry| match entry {
            Some(entry) if entry.value().version == *expected => Op::Put(value.clone()),
            _ => Op::Nop,
        });
        matches!(written, CompResult::ReplacedWith(_))
    }

    fn insert(&self, key: Key, value: Value) {
        Moka::insert(self, key, value);
    }

    fn remove(&self, key: &Key) -> Option<Value> {
        self.invalidate(key);
        None
    }
}
