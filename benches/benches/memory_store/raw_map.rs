//! The map that the store is built on, without a store around it.

use std::hash::{BuildHasherDefault, Hasher};
use std::hint::black_box;
use std::mem;

use crossbeam_utils::CachePadded;
use hashbrown::HashMap;
use parking_lot::Mutex;
use session_core::{Bytes, Owner, SessionKey, Version, When, Write, WriteItem};

use crate::session;
use crate::sessions::Sessions;

/// 256 locks, each of which guards a part of the map, as in `MemoryStore`.
pub(crate) struct RawMap {
    shards: Box<[CachePadded<Mutex<Shard>>]>,
}

type Shard = HashMap<SessionKey, Value, BuildHasherDefault<DigestHasher>>;

/// Uses eight bytes of the digest unchanged: they are already uniform.
#[derive(Default)]
struct DigestHasher(u64);

/// What the store keeps for a session, too: as large, and as costly to clone.
#[derive(Clone)]
struct Value {
    data: Bytes,
    version: Version,
    expires_at: u64,
    owner: Option<Owner>,
}

impl RawMap {
    pub(crate) fn new() -> Self {
        Self { shards: (0..256).map(|_| CachePadded::default()).collect() }
    }

    fn shard(&self, key: &SessionKey) -> &Mutex<Shard> {
        &self.shards[usize::from(key.shard())]
    }

    fn find(&self, key: &SessionKey) -> Option<Value> {
        self.shard(key).lock().get(key).cloned()
    }

    fn insert(&self, key: &SessionKey, value: Value) -> Option<Value> {
        self.shard(key).lock().insert(*key, value)
    }

    fn remove_if(&self, key: &SessionKey, wanted: impl FnOnce(&Value) -> bool) -> Option<Value> {
        let mut shard = self.shard(key).lock();
        shard.get(key).filter(|value| wanted(value))?;
        shard.remove(key)
    }
}

impl Value {
    fn new(write: Write, owner: Option<Owner>) -> Self {
        Self { data: write.data, version: write.version, expires_at: write.ttl.as_millis(), owner }
    }

    /// Swaps data and version with those of `write` if this is the expected version, and returns
    /// whether it did.
    fn swap_if(&mut self, expected: Version, write: &mut Write) -> bool {
        let as_expected = self.version == expected;
        if as_expected {
            mem::swap(&mut self.data, &mut write.data);
            mem::swap(&mut self.version, &mut write.version);
            self.expires_at = write.ttl.as_millis();
        }
        as_expected
    }
}

impl Hasher for DigestHasher {
    /// A key hashes as its length, which is too short to be used, and then its bytes, the shard
    /// byte first.
    fn write(&mut self, bytes: &[u8]) {
        if let Some(digest) = bytes.get(1..).and_then(|digest| digest.first_chunk()) {
            self.0 = u64::from_le_bytes(*digest);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Sessions for RawMap {
    const DRAWS_VERSIONS: bool = false;

    fn get(&self, key: &SessionKey) -> (Bytes, Version) {
        let value = self.find(key).expect("it is there");
        (value.data, value.version)
    }

    fn read(&self, key: &SessionKey) -> bool {
        black_box(self.find(key)).is_some()
    }

    fn write(&self, key: &SessionKey, write: &mut Write, expected: Version) -> bool {
        self.shard(key).lock().get_mut(key).is_some_and(|value| value.swap_if(expected, write))
    }

    fn touch(&self, key: &SessionKey) -> bool {
        let expires_at = session::ttl().as_millis();
        self.shard(key).lock().get_mut(key).map(|value| value.expires_at = expires_at).is_some()
    }

    fn create(&self, key: &SessionKey, mut write: Write) -> bool {
        let owner = mem::take(&mut write.owner).apply(None);
        self.insert(key, Value::new(write, owner)).is_none()
    }

    fn delete(&self, key: &SessionKey) -> bool {
        self.remove_if(key, |_| true).is_some()
    }

    fn rename(&self, old: &SessionKey, new: &SessionKey, write: Write, expected: Version) -> bool {
        let Some(replaced) = self.remove_if(old, |value| value.version == expected) else { return false };
        self.insert(new, Value::new(write, replaced.owner.clone())).is_none()
    }

    fn read_many(&self, keys: &[SessionKey]) -> bool {
        let found: Vec<_> = keys.iter().map(|key| self.find(key)).collect();
        black_box(found).iter().all(Option::is_some)
    }

    fn write_many(&self, items: &[WriteItem]) -> bool {
        let write = |item: &WriteItem| match item.when {
            When::Version(expected) => Sessions::write(self, &item.key, &mut item.write.clone(), expected),
            When::Absent | When::Any => false,
        };
        let written: Vec<_> = items.iter().map(write).collect();
        black_box(written).into_iter().all(|written| written)
    }
}
