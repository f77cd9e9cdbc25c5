//! The data of sessions.

use std::sync::{
    LazyLock,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use rand::Rng as _;

/// Data of a fixed length, different each time: Redis interns equal strings, and MongoDB skips a
/// write that changes nothing.
#[derive(Clone, Copy, Debug)]
pub struct Payload {
    len: usize,
}

impl Payload {
    /// Data of this many bytes.
    pub fn of_len(len: usize) -> Self {
        Self { len }
    }

    /// The number of bytes.
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether the data is empty.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Unique data: letters, digits, `-` and `_`, for stores that accept only text.
    ///
    /// A slice of a random text, prefixed with a unique number, because drawing each byte takes
    /// longer than a read of `MemoryStore`.
    ///
    /// # Panics
    ///
    /// With more than two megabytes.
    pub fn next(self) -> Bytes {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        static TEXT: LazyLock<Vec<u8>> = LazyLock::new(random_text);
        let from = rand::random_range(0..=TEXT.len() - self.len);
        let mut data = TEXT[from..from + self.len].to_vec();
        let mut number = NEXT.fetch_add(1, Ordering::Relaxed);
        for byte in data.iter_mut().take(11) {
            *byte = LETTERS[(number & 63) as usize];
            number >>= 6;
        }
        data.into()
    }
}

fn random_text() -> Vec<u8> {
    let mut text = vec![0; 2 << 20];
    rand::rng().fill_bytes(&mut text);
    for byte in &mut text {
        *byte = LETTERS[usize::from(*byte & 63)];
    }
    text
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
