//! The stored record. Numbers are big-endian, of eight bytes each:
//!
//! | bytes | |
//! | --- | --- |
//! | 4 | `SESS` |
//! | 1 | the format: 1 |
//! | 16 | the version |
//! | 8 | the expiry, in milliseconds since 1970 by the clock of the node that wrote it |
//! | 8 | the length of the owner, 0 for none |
//! | 8 | the length of the data |
//! | | the owner, then the data |

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use session_core::{Bytes, ErrorKind, Owner, Record, Ttl, Version};

const MAGIC: &[u8] = b"SESS";
const FORMAT: u8 = 1;

/// Memcached interprets a longer ttl, in seconds, as an absolute time.
const LONGEST_RELATIVE: u64 = 30 * 24 * 60 * 60;
/// Memcached's clock ticks once a second, and is late after the server was halted. It must not
/// expire a record too early.
const LATE: u64 = 60;

/// A stored record. Its own expiry decides. Memcached's expiry only frees the space.
#[derive(Clone)]
pub(crate) struct Stored {
    pub(crate) version: Version,
    pub(crate) expires_at: u64,
    pub(crate) owner: Option<Owner>,
    pub(crate) data: Bytes,
}

/// Milliseconds since 1970 by the clock of this node.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The expiry of a record that is written now.
pub(crate) fn expiry(ttl: Ttl) -> u64 {
    now().saturating_add(ttl.as_millis())
}

impl Stored {
    /// The remaining ttl, or zero if the record has expired.
    pub(crate) fn left(&self) -> Duration {
        Duration::from_millis(self.expires_at.saturating_sub(now()))
    }

    /// The record as callers see it.
    pub(crate) fn record(&self) -> Record {
        let (data, owner) = (self.data.clone(), self.owner.clone());
        Record { data, version: self.version, expires_in: self.left(), owner }
    }

    /// The ttl for Memcached, in seconds: longer than the record's own. 0 means no ttl, for a ttl
    /// that is too long for Memcached.
    pub(crate) fn seconds(&self) -> u64 {
        let seconds = self.left().as_secs() + LATE;
        if seconds > LONGEST_RELATIVE { 0 } else { seconds }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let (version, expires_at) = (self.version.as_bytes(), self.expires_at.to_be_bytes());
        let owner = self.owner.as_ref().map_or("", Owner::as_str).as_bytes();
        let lengths = [owner.len(), self.data.len()].map(|len| (len as u64).to_be_bytes()).concat();
        [MAGIC, &[FORMAT], version, &expires_at, &lengths, owner, &self.data].concat()
    }

    /// Fails as [`Corrupt`](ErrorKind::Corrupt) or [`Unsupported`](ErrorKind::Unsupported).
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ErrorKind> {
        match bytes.strip_prefix(MAGIC).and_then(<[u8]>::split_first) {
            Some((&FORMAT, rest)) => Self::fields(rest).ok_or(ErrorKind::Corrupt),
            Some(_) => Err(ErrorKind::Unsupported),
            None => Err(ErrorKind::Corrupt),
        }
    }

    fn fields(rest: &[u8]) -> Option<Self> {
        let (version, rest) = rest.split_first_chunk()?;
        let (expires_at, rest) = rest.split_first_chunk()?;
        let (owner_len, rest) = rest.split_first_chunk()?;
        let (data_len, rest) = rest.split_first_chunk()?;
        let (owner, data) = rest.split_at_checked(u64::from_be_bytes(*owner_len).try_into().ok()?)?;
        let is_ready = data.len() as u64 == u64::from_be_bytes(*data_len);
        let owner = std::str::from_utf8(owner).ok().filter(|_| is_ready)?;
        Some(Self {
            version: Version::from_bytes(*version),
            expires_at: u64::from_be_bytes(*expires_at),
            owner: if owner.is_empty() { None } else { Some(Owner::new(owner).ok()?) },
            data: Bytes::copy_from_slice(data),
        })
    }
}
