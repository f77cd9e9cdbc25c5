use std::fmt;

use data_encoding::HEXLOWER;
use rand::RngExt;

/// The token of one write: drawn by the writer, stored with the record, never reused.
///
/// A version is sixteen random bytes instead of a counter. Counters repeat when a session is
/// re-created, when a server fails over to a replica, and, for a `PostgreSQL` sequence, after a
/// crash. A token needs no state. A writer that lost the reply can determine whether its write
/// arrived: the record then has its token.
///
/// Tokens are compared for equality and have no order. They are not secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version([u8; Self::LEN]);

impl Version {
    /// The length of a version in bytes.
    pub const LEN: usize = 16;

    /// Draws a new token from the thread's generator, which the operating system seeds. Takes about
    /// ten nanoseconds.
    ///
    /// After a fork without `exec`, parent and child must not both draw tokens: they would draw the
    /// same ones.
    ///
    /// # Panics
    /// If the operating system cannot supply random bytes for the seed.
    pub fn random() -> Self {
        Self(rand::rng().random())
    }

    /// A version from the bytes that [`as_bytes`](Self::as_bytes) returned, for a store that reads
    /// its own record.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes, for a store to keep.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({})", HEXLOWER.encode(&self.0))
    }
}
