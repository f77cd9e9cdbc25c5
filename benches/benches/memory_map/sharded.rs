//! An array of locks, each around its part of the map.

use std::sync::PoisonError;

use crossbeam_utils::CachePadded;
use hashbrown::HashMap;

use crate::candidates::SessionMap;
use crate::session::{BuildDigestHasher, Key, Value, Version};

pub(crate) type Shard = HashMap<Key, Value, BuildDigestHasher>;

pub(crate) struct Sharded<L> {
    shards: Box<[CachePadded<L>]>,
    mask: usize,
}

/// A lock around a shard.
pub(crate) trait Lock: Default + Send + Sync {
    fn shared<R>(&self, read: impl FnOnce(&Shard) -> R) -> R;
    fn exclusive<R>(&self, change: impl FnOnce(&mut Shard) -> R) -> R;
}

impl<L: Lock> Sharded<L> {
    /// # Panics
    ///
    /// When `shards` is not a power of two.
    pub(crate) fn new(shards: usize) -> Self {
        assert!(shards.is_power_of_two(), "a mask chooses the shard");
        Self { shards: (0..shards).map(|_| CachePadded::default()).collect(), mask: shards - 1 }
    }

    fn shard(&self, key: &Key) -> &L {
        &self.shards[key.shard() & self.mask]
    }
}

impl<L: Lock> SessionMap for Sharded<L> {
    fn read(&self, key: &Key) -> Option<Value> {
        self.shard(key).shared(|shard| shard.get(key).cloned())
    }

    fn write_if(&self, key: &Key, expected: &Version, value: &mut Value) -> bool {
        self.shard(key)
            .exclusive(|shard| shard.get_mut(key).is_some_and(|slot| slot.swap_if(expected, value)))
    }

    fn insert(&self, key: Key, value: Value) {
        self.shard(&key).exclusive(|shard| shard.insert(key, value));
    }

    fn remove(&self, key: &Key) -> Option<Value> {
        self.shard(key).exclusive(|shard| shard.remove(key))
    }
}

impl Lock for parking_lot::Mutex<Shard> {
    fn shared<R>(&self, read: impl FnOnce(&Shard) -> R) -> R {
        read(&self.lock())
    }

    fn exclusive<R>(&self, change: impl FnOnce(&mut Shard) -> R) -> R {
        change(&mut self.lock())
    }
}

impl Lock for parking_lot::RwLock<Shard> {
    fn shared<R>(&self, read: impl FnOnce(&Shard) -> R) -> R {
        read(&self.read())
    }

    fn exclusive<R>(&self, change: impl FnOnce(&mut Shard) -> R) -> R {
        change(&mut self.write())
    }
}

impl Lock for std::sync::Mutex<Shard> {
    fn shared<R>(&self, read: impl FnOnce(&Shard) -> R) -> R {
        read(&self.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn exclusive<R>(&self, change: impl FnOnce(&mut Shard) -> R) -> R {
        change(&mut self.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Lock for std::sync::RwLock<Shard> {
    fn shared<R>(&self, read: impl FnOnce(&Shard) -> R) -> R {
        read(&self.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn exclusive<R>(&self, change: impl FnOnce(&mut Shard) -> R) -> R {
        change(&mut self.write().unwrap_or_else(PoisonError::into_inner))
    }
}
