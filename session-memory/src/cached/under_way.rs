use std::collections::HashMap;

use crossbeam_utils::CachePadded;
use session_core::{Record, Result, SessionKey, Version};
use tokio::sync::watch;

use super::runtime::Mutex;

/// The answer to a question that is under way, for all who ask the same. `None` until it is there.
pub(crate) type Answer = watch::Receiver<Option<Result<Option<Record>>>>;

/// What is under way for each key: readings of the store and changes. Holds nothing else, so it is as small as the load.
#[derive(Debug)]
pub(crate) struct UnderWay(Box<[CachePadded<Mutex<Shard>>]>);

type Shard = HashMap<SessionKey, Busy>;

/// What is under way for one key.
///
/// What a *reading* found is kept only if no change ended, and none was heard of, while it ran: a change that is still under way will drop it at its end.
/// What a *change* made is kept only if, besides, no other change was under way at any moment of it, and no reading was kept: of changes that overlap,
/// nobody knows which one was last.
#[derive(Debug, Default)]
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

#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) epoch: u64,
    pub(crate) answer: Answer,
}

/// Enough that two threads seldom meet.
const SHARDS: usize = 256;

impl UnderWay {
    pub(crate) fn new() -> Self {
        Self((0..SHARDS).map(|_| CachePadded::new(Mutex::new(Shard::new()))).collect())
    }

    /// Looks at one key, with everything that concerns it kept from happening meanwhile.
    pub(crate) fn at<T>(&self, key: &SessionKey, look: impl FnOnce(&mut Shard) -> T) -> T {
        // Bytes that the hash of the cache's map does not depend on alone, and not the shard byte, which clients choose.
        let [.., last] = key.as_bytes();
        look(&mut self.0[usize::from(*last) % SHARDS].lock())
    }

    /// How many keys something is under way for.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|shard| shard.lock().len()).sum()
    }
}
