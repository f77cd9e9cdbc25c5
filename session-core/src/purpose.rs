use std::fmt;

use sha2::{Digest, Sha256};

/// The purpose of ids, such as the name of the cookie that carries them. An id opens a session only
/// for the purpose that it was made for.
///
/// [`SessionId::key_for`](crate::SessionId::key_for) digests the purpose together with the id. The
/// store therefore needs no knowledge of purposes, and the sessions of two purposes never collide
/// in one store.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Purpose([u8; Self::LEN]);

impl Purpose {
    /// Together with the 21 bytes of an id, this fits into one block of SHA-256.
    const LEN: usize = 16;

    /// The purpose with this name. Equal names give equal purposes.
    pub fn new(name: &str) -> Self {
        let digest = Sha256::new().chain_update(b"session purpose\0").chain_update(name).finalize();
        let mut tag = [0; Self::LEN];
        tag.copy_from_slice(&digest[..Self::LEN]);
        Self(tag)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Debug for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Purpose(..)")
    }
}
