use std::{fmt, str::FromStr};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::{Error, ErrorKind, Operation, Purpose};

/// The key under which a store keeps a session.
///
/// It is one shard byte and the SHA-256 of the [`SessionId`](crate::SessionId), together with the
/// [purpose](Purpose) of the id if it has one.
///
/// A key gives access to nothing, because the id cannot be computed from it. It may therefore
/// appear in logs, errors and listings, and a store may print it in any form.
///
/// The digest is uniform, so any of its bytes can serve as a hash or select a partition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey([u8; Self::LEN]);

impl SessionKey {
    /// The length of a key in bytes.
    pub const LEN: usize = 33;

    pub(crate) fn from_id_bytes(id: &[u8; 21]) -> Self {
        let mut bytes = [0; Self::LEN];
        bytes[0] = id[0];
        bytes[1..].copy_from_slice(&Sha256::digest(id));
        Self(bytes)
    }

    pub(crate) fn from_id_bytes_for(id: &[u8; 21], purpose: &Purpose) -> Self {
        let mut bytes = [0; Self::LEN];
        bytes[0] = id[0];
        let digest = Sha256::new().chain_update(purpose.as_bytes()).chain_update(id).finalize();
        bytes[1..].copy_from_slice(&digest);
        Self(bytes)
    }

    /// A key from the bytes that [`as_bytes`](Self::as_bytes) returned, for a store that reads its
    /// own listing.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The shard byte, then the 32 bytes of the digest.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The shard byte: the same for all ids that one session has had.
    pub const fn shard(&self) -> u8 {
        self.0[0]
    }

    /// Eight bytes of the digest, as a hash for in-process maps. It needs no further mixing.
    pub const fn hash64(&self) -> u64 {
        let [_shard, digest @ ..] = &self.0;
        match digest.first_chunk() {
            Some(first) => u64::from_le_bytes(*first),
            None => 0,
        }
    }
}

impl TryFrom<&[u8]> for SessionKey {
    type Error = Error;

    /// # Errors
    /// [`ErrorKind::Corrupt`] if there are not exactly 33 bytes.
    fn try_from(bytes: &[u8]) -> Result<Self, Error> {
        bytes.try_into().map(Self).map_err(|_| {
            Error::new(ErrorKind::Corrupt, Operation::Validate).because(format!(
                "a key has {} bytes, and this has {}",
                Self::LEN,
                bytes.len()
            ))
        })
    }
}

impl FromStr for SessionKey {
    type Err = Error;

    /// Parses the output of `Display`, for forms and links of an administration interface.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidId`] if these are not 66 hexadecimal digits in lower case.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| {
            Error::new(ErrorKind::InvalidId, Operation::Validate)
                .because("a key is written as 66 hexadecimal digits in lower case")
        })
    }
}

impl fmt::Display for SessionKey {
    /// The whole key in hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for SessionKey {
    /// Shows enough of the key to tell it from others in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKey({}..)", HEXLOWER.encode(&self.0[..8]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SessionId;

    #[test]
    fn is_the_shard_byte_and_the_digest_of_the_id() {
        // `head -c 21 /dev/zero | sha256sum`
        let key = "A".repeat(28).parse::<SessionId>().expect("an id of zeros").key();
        let digest = &key.to_string()[2..];
        assert_eq!(key.shard(), 0);
        assert_eq!(digest, "c90232586b801f9558a76f2f963eccd831d9fe6775e4c8f1446b2331aa2132f2");
    }

    #[test]
    fn comes_back_from_its_text_and_from_no_other() {
        let key = SessionId::generate().key();
        assert_eq!(key.to_string().parse::<SessionKey>().expect("its own text"), key);
        for text in ["", "00", &"0".repeat(67), &"A".repeat(66), &"g".repeat(66), &"é".repeat(33)] {
            assert_eq!(text.parse::<SessionKey>().expect_err(text).kind(), ErrorKind::InvalidId);
        }
    }

    #[test]
    fn comes_back_from_its_bytes_and_from_no_others() {
        let key = SessionId::generate().key();
        assert_eq!(SessionKey::try_from(&key.as_bytes()[..]).expect("its own bytes"), key);
        for len in [0, 32, 34] {
            let error = SessionKey::try_from(&vec![7; len][..]).expect_err("a wrong length");
            assert_eq!(error.kind(), ErrorKind::Corrupt);
        }
    }
}
