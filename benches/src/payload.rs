//! What sessions hold.

use bytes::Bytes;
use rand::Rng as _;

/// Data of one length, each time different: Redis interns equal strings, and MongoDB skips a write that changes nothing.
#[derive(Clone, Copy, Debug)]
pub struct Payload {
    len: usize,
}

impl Payload {
    /// Data of so many bytes.
    pub fn of_len(len: usize) -> Self {
        Self { len }
    }

    /// How many bytes.
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Data that nobody else has: letters, digits, `-` and `_`, for stores that take nothing but text.
    pub fn next(self) -> Bytes {
        let mut rng = rand::rng();
        let mut data = vec![0; self.len];
        rng.fill_bytes(&mut data);
        for byte in &mut data {
            *byte = LETTERS[usize::from(*byte & 63)];
        }
        data.into()
    }
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
