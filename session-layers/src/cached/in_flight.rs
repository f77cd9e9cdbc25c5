use std::{collections::HashMap, hash::BuildHasher};

use crossbeam_utils::CachePadded;
use foldhash::fast::RandomState;
use session_core::{Record, Result, SessionKey, Version};
use tokio::sync::watch;

use super::runtime::Mutex;

/// The answer to a read in flight, for all readers that share it. `None` until it has arrived.
pub(crate) type Answer = watch::Receiver<Option<Result<Option<Record>>>>;

/// The operations in flight for each key: reads of the store and changes. Its size depends on the
/// load alone.
pub(crate) struct InFlight {
    shards: Box<[CachePadded<Mutex<Shard>>]>,
    choice: RandomState,
}

type Shard = HashMap<SessionKey, KeyState>;

/// The operations in flight for one key.
///
/// The answer to a *read* is cached only if no change ended, and no event arrived, while it ran. A
/// change that is still in flight drops the entry when it ends.
///
/// The record that a *change* wrote is cached only if, in addition, no other change was in flight
/// at any moment of it, and no read was cached: it is not known which of several overlapping
/// changes was last.
#[derive(Default)]
pub(crate) struct KeyState {
    pub(crate) operations: u32,
    pub(crate) changes: u32,
    /// Incremented when a change ends or an event arrives.
    pub(crate) disturbed: u64,
    /// Incremented in the same cases, except by a change's own echo. Also incremented when a change
    /// begins or a read is cached.
    pub(crate) moved: u64,
    /// The version that the only change in flight writes, and whether its event has arrived.
    pub(crate) own: Option<(Version, bool)>,
    /// The read that new readers may share. It began after the last change that they must see.
    pub(crate) reading: Option<Reading>,
}

pub(crate) struct Reading {
    pub(crate) epoch: u64,
    pub(crate) answer: Answer,
}

/// One lock for each value of a byte, so that two threads rarely contend.
const SHARDS: usize = 256;

impl InFlight {
    pub(crate) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| CachePadded::new(Mutex::new(Shard::new()))).collect();
        Self { shards, choice: RandomState::default() }
    }

    /// Runs `look` with the key's lock held, which excludes all other operations on the key.
    pub(crate) fn at<T>(&self, key: &SessionKey, look: impl FnOnce(&mut Shard) -> T) -> T {
        look(&mut self.shards[self.index(key)].lock())
    }

    /// The shard of a key, by a hash that is keyed at random for each cache: a client chooses its
    /// id, and so, by trial, any byte of the key.
    fn index(&self, key: &SessionKey) -> usize {
        let [byte, ..] = self.choice.hash_one(key.hash64()).to_be_bytes();
        usize::from(byte)
    }

    /// The number of keys with operations in flight.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn no_byte_of_a_key_chooses_its_lock() {
        let in_flight = InFlight::new();
        for place in [0, 1, SessionKey::LEN - 1] {
            let key = |n: u16| {
                let mut bytes = [0x5a; SessionKey::LEN];
                bytes[9..11].copy_from_slice(&n.to_be_bytes());
                bytes[5..7].copy_from_slice(&n.to_be_bytes());
                bytes[place] = 7;
                SessionKey::from_bytes(bytes)
            };
            let locks: std::collections::HashSet<usize> =
                (0..1_000).map(|n| in_flight.index(&key(n))).collect();
            assert!(locks.len() > 128, "{} locks for 1,000 keys", locks.len());
        }
    }
}
