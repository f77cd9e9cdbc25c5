//! The sessions that all candidates hold.

use std::time::Duration;

use session_core::{Bytes, Owner, OwnerChange, SessionKey, Ttl, Write};
use sha2::{Digest as _, Sha256};

/// The length of a session's data in bytes.
pub(crate) const DATA_LEN: usize = 400;

/// The key of a session: a digest, as those of real ids are, but the same in every run.
pub(crate) fn key(session: u64) -> SessionKey {
    let digest = Sha256::digest(session.to_be_bytes());
    with_shard(digest[31], &digest)
}

/// The key that a session has after a login: another one with the same shard byte.
pub(crate) fn rotated(key: &SessionKey) -> SessionKey {
    with_shard(key.shard(), &Sha256::digest(key.as_bytes()))
}

fn with_shard(shard: u8, digest: &[u8]) -> SessionKey {
    let mut bytes = [0; SessionKey::LEN];
    bytes[0] = shard;
    bytes[1..].copy_from_slice(digest);
    SessionKey::from_bytes(bytes)
}

/// Data that is unique to a session.
pub(crate) fn data(key: &SessionKey, number: u64) -> Bytes {
    let mut data = vec![0; DATA_LEN];
    data[..8].copy_from_slice(&number.to_le_bytes());
    data[8..41].copy_from_slice(key.as_bytes());
    Bytes::from(data)
}

/// Like [`data`], but already shared once: the first clone of `Bytes` allocates the reference
/// count, which must not be part of a read.
pub(crate) fn shared_data(key: &SessionKey, number: u64) -> Bytes {
    let data = data(key, number);
    drop(data.clone());
    data
}

/// The owner of a session. Half of the sessions have one, each a different one.
pub(crate) fn owner(key: &SessionKey, number: u64) -> OwnerChange {
    if key.as_bytes()[32] & 1 == 1 {
        return OwnerChange::Keep;
    }
    owned(number)
}

/// An owner that is unique to a session.
pub(crate) fn owned(number: u64) -> OwnerChange {
    OwnerChange::Set(Owner::new(format!("user-{number}")).expect("a short text"))
}

/// A TTL that does not pass while the benchmark runs.
pub(crate) fn ttl() -> Ttl {
    Ttl::new(Duration::from_hours(24)).expect("a day")
}

/// The write that creates a session, with its owner.
pub(crate) fn creation(key: &SessionKey, number: u64) -> Write {
    Write::new(shared_data(key, number), ttl()).owner(owner(key, number))
}

/// The write that replaces the data of a session and keeps its owner.
pub(crate) fn replacement(key: &SessionKey, number: u64) -> Write {
    Write::new(shared_data(key, number), ttl())
}
