use std::{collections::HashMap, hash::BuildHasher};

use crossbeam_utils::CachePadded;
use foldhash::fast::RandomState;
use session_core::{Record, Result, SessionKey, Version};
use tokio::sync::watch;

use super::runtime::Mutex;

/// The answer to a question that is under way, for all who ask the same. `None` until it is there.
pub(crate) type Answer = watch::Receiver<Option<Result<Option<Record>>>>;

/// What is under way for each key: readings of the store and changes. Holds nothing else, so it is as small as the load.
pub(crate) struct UnderWay {
    shards: Box<[CachePadded<Mutex<Shard>>]>,
    choice: RandomState,
}

type Shard = HashMap<SessionKey, Busy>;

/// What is under way for one key.
///
/// What a *reading* found is kept only if no change ended, and none was heard of, while it ran: a change that is still under way will drop it at its end.
/// What a *change* made is kept only if, besides, no other change was under way at any moment of it, and no reading was kept: of changes that overlap,
/// nobody knows which one was last.
#[derive(Default)]
pub(crate) struct Busy {
    pub(crate) operations: u32,
    pub(crate) changes: u32,
    /// Moves when a change ends or is heard of.
    pub(crate) disturbed: u64,
    /// Moves then, too, and when a change begins or a reading is kept.
    pub(crate) moved: u64,
    /// The version that the only change under way writes, and whether that was heard of already.
    pub(crate) own: Option<(Version, bool)>,
    /// The reading that newcomers may share: one that began after the last moment at which the record may have changed for those who come now.
    pub(crate) reading: Option<Reading>,
}

pub(crate) struct Reading {
    pub(crate) epoch: u64,
    pub(crate) answer: Answer,
}

/// Enough that two threads seldom meet: one for each value of a byte.
const SHARDS: usize = 256;

impl UnderWay {
    pub(crate) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| CachePadded::new(Mutex::new(Shard::new()))).collect();
        Self { shards, choice: RandomState::default() }
    }

    /// Looks at one key, with everything that concerns it kept from happening meanwhile.
    pub(crate) fn at<T>(&self, key: &SessionKey, look: impl FnOnce(&mut Shard) -> T) -> T {
        look(&mut self.shards[self.index(key)].lock())
    }

    /// By a hash that is keyed anew for each cache: a client chooses its id, and by trying, any
    /// byte of the key.
    fn index(&self, key: &SessionKey) -> usize {
        let [byte, ..] = self.choice.hash_one(key.hash64()).to_be_bytes();
        usize::from(byte)
    }

    /// How many keys something is under way for.
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
        let under_way = UnderWay::new();
        for place in [0, 1, SessionKey::LEN - 1] {
            let key = |n: u16| {
                let mut bytes = [0x5a; SessionKey::LEN];
                bytes[9..11].copy_from_slice(&n.to_be_bytes());
                bytes[5..7].copy_from_slice(&n.to_be_bytes());
                bytes[place] = 7;
                SessionKey::from_bytes(bytes)
            };
            let locks: std::collections::HashSet<usize> =
                (0..1_000).map(|n| under_way.index(&key(n))).collect();
            assert!(locks.len() > 128, "{} locks for 1,000 keys", locks.len());
        }
    }
}
