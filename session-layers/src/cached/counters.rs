use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use session_core::SessionKey;

/// The counters other than hits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    UnknownHit,
    Miss,
    Shared,
    Bypass,
    DiscardedFill,
    Space,
    Changed,
    Own,
    Expired,
    Stale,
    Flush,
}

const KINDS: usize = Count::Flush as usize + 1;

/// Hits are spread over this many counters, to avoid contention on a single one.
const SPREAD: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct Counters {
    hits: [CachePadded<AtomicU64>; SPREAD],
    others: [CachePadded<AtomicU64>; KINDS],
}

impl Counters {
    pub(crate) fn hit(&self, key: &SessionKey) {
        let [.., last] = key.as_bytes();
        self.hits[usize::from(*last) % SPREAD].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add(&self, count: Count) {
        self.others[count as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn hits(&self) -> u64 {
        self.hits.iter().map(|hits| hits.load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn of(&self, count: Count) -> u64 {
        self.others[count as usize].load(Ordering::Relaxed)
    }
}
