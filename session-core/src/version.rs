use std::fmt;

use data_encoding::HEXLOWER;
use rand::RngExt;

/// The token of one write: drawn by the writer, stored with the record, never seen again.
///
/// Sixteen random bytes instead of a counter, because counters repeat when a session is re-created, when a server
/// fails over to a replica, and, for a `PostgreSQL` sequence, after a crash. A token needs no state, and a
/// writer that lost the reply can find out whether its write arrived: the record then has its token.
///
/// Tokens are compared for equality and have no order. They are no secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version([u8; Self::LEN]);

impl Version {
    /// The length of a version in bytes.
    pub const LEN: usize = 16;

    /// Draws a new token from the thread's generator, which the operating system seeds. About ten nanoseconds.
    ///
    /// A process that forks without `exec` must not draw tokens in both halves: they would be the same tokens.
    ///
    /// # Panics
    /// If the operating system has no random bytes to give for the seed.
    pub fn random() -> Self {
        Self(rand::rng().random())
    }

    /// A version from the bytes that [`as_bytes`](Self::as_bytes) gave, for a store that reads its own record.
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
