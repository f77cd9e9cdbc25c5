//! What the maps hold: keys and values shaped like those of a session store.

use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

const DATA_LEN: usize = 400;

/// One shard byte and a SHA-256 digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key([u8; 33]);

pub(crate) type Version = [u8; 16];

#[derive(Debug, Clone)]
#[expect(dead_code, reason = "a store reads them, the maps only move and clone them")]
pub(crate) struct Value {
    data: Bytes,
    pub(crate) version: Version,
    expires_at: u64,
    owner: Option<Arc<str>>,
}

impl Key {
    pub(crate) fn of(session: u64) -> Self {
        let digest = Sha256::digest(session.to_be_bytes());
        let mut key = [0; 33];
        key[0] = digest[31];
        key[1..].copy_from_slice(&digest);
        Self(key)
    }

    /// Digest bytes that the hash does not use, to choose a shard: maps take their bits from both ends of the
    /// hash.
    pub(crate) fn shard(&self) -> usize {
        usize::from(u16::from_le_bytes([self.0[9], self.0[10]]))
    }

    /// The version that all values of this session have. A real writer draws it; that it can be told from the
    /// key lets every conditional write succeed without a record of who wrote what before.
    pub(crate) fn version(&self) -> Version {
        let mut version = [0; 16];
        version.copy_from_slice(&self.0[17..]);
        version
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut start = [0; 8];
        start.copy_from_slice(&self.0[1..9]);
        state.write_u64(u64::from_le_bytes(start));
    }
}

impl Value {
    /// A value whose data no other one has. Half of the sessions have an owner.
    pub(crate) fn new(key: &Key, number: u64) -> Self {
        let mut data = vec![0; DATA_LEN];
        data[..8].copy_from_slice(&number.to_le_bytes());
        data[8..41].copy_from_slice(&key.0);
        let data = Bytes::from(data);
        // The first clone allocates the reference count; have that done before anything is timed.
        drop(data.clone());
        let owner = (key.0[32] & 1 == 0).then(|| Arc::from(format!("user-{number}")));
        Self { data, version: key.version(), expires_at: number, owner }
    }

    /// Swaps the two values if this one has the expected version, and says whether it did.
    pub(crate) fn swap_if(&mut self, expected: &Version, value: &mut Self) -> bool {
        let as_expected = self.version == *expected;
        if as_expected {
            std::mem::swap(self, value);
        }
        as_expected
    }
}

/// Takes the digest's bytes as they are: they are uniform already.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct DigestHasher(u64);

pub(crate) type BuildDigestHasher = BuildHasherDefault<DigestHasher>;

impl Hasher for DigestHasher {
    fn write(&mut self, _: &[u8]) {
        unreachable!("a key hashes as one number");
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
