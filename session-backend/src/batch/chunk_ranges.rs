use std::{collections::HashSet, ops::Range};

use session_core::SessionKey;

/// Cuts a batch into consecutive chunks, each small enough for one round trip and without a key that
/// occurs twice. Items of one key that are carried out chunk by chunk keep their order.
///
/// An item is its key and the length of its data. A chunk has at most `max_items` items and, unless it
/// is a single larger one, `max_bytes` bytes.
///
/// ```
/// use session_core::SessionId;
///
/// let (one, other) = (SessionId::generate().key(), SessionId::generate().key());
/// let items = [(one, 10), (other, 10), (one, 10)];
/// assert_eq!(session_backend::chunk_ranges(items, 100, 1 << 20), [0..2, 2..3]);
/// ```
pub fn chunk_ranges(
    items: impl IntoIterator<Item = (SessionKey, usize)>,
    max_items: usize,
    max_bytes: usize,
) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let (mut start, mut bytes, mut keys) = (0, 0, HashSet::new());
    let mut len = 0;
    for (at, (key, item_bytes)) in items.into_iter().enumerate() {
        let fits = at - start < max_items && (at == start || bytes + item_bytes <= max_bytes);
        if !keys.insert(key) || !fits {
            ranges.push(start..at);
            (start, bytes) = (at, 0);
            keys.clear();
            keys.insert(key);
        }
        bytes += item_bytes;
        len = at + 1;
    }
    if start < len {
        ranges.push(start..len);
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u16) -> SessionKey {
        let mut bytes = [0; SessionKey::LEN];
        bytes[..2].copy_from_slice(&n.to_le_bytes());
        SessionKey::from_bytes(bytes)
    }

    #[test]
    fn a_chunk_ends_before_a_key_comes_again() {
        let items = [1, 2, 1, 1, 3, 2].map(|n| (key(n), 10));
        assert_eq!(chunk_ranges(items, 512, 100), [0..2, 2..3, 3..6]);
        assert_eq!(chunk_ranges([], 512, 100), []);
    }

    #[test]
    fn a_chunk_is_bounded_in_items_and_bytes() {
        let many = (0..1200).map(|n| (key(n), 10));
        assert_eq!(chunk_ranges(many, 512, 8 << 20), [0..512, 512..1024, 1024..1200]);
        let large = [1, 9 << 20, 1, 6 << 20, 4 << 20].into_iter().enumerate();
        let large = large.map(|(n, bytes)| (key(u16::try_from(n).expect("few")), bytes));
        assert_eq!(chunk_ranges(large, 512, 8 << 20), [0..1, 1..2, 2..4, 4..5]);
    }
}
