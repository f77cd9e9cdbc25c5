use std::collections::HashSet;

use session_core::SessionKey;

/// The maximum number of items in one statement.
pub(crate) const MAX_ITEMS: usize = 128;

/// Approximate limit on the bytes of one statement. A larger item gets a statement of its own.
pub(crate) const MAX_BYTES: usize = 4 << 20;

/// Cuts a batch into parts, each small enough for one statement and without a repeated key.
/// Running the parts in sequence has the same effect as running the items in order. An item is its
/// number, its key and the length of its data.
pub(crate) fn parts(
    items: impl IntoIterator<Item = (usize, SessionKey, usize)>,
    max_bytes: usize,
) -> Vec<Vec<usize>> {
    let mut parts: Vec<Vec<usize>> = Vec::new();
    let (mut bytes, mut keys) = (0, HashSet::new());
    for (number, key, item_bytes) in items {
        let fits = parts.last().is_some_and(|part| {
            part.len() < MAX_ITEMS && bytes + item_bytes <= max_bytes && !keys.contains(&key)
        });
        if !fits {
            parts.push(Vec::new());
            bytes = 0;
            keys.clear();
        }
        keys.insert(key);
        bytes += item_bytes;
        if let Some(part) = parts.last_mut() {
            part.push(number);
        }
    }
    parts
}

/// Sorts the outcomes by the numbers of their items.
pub(crate) fn in_order<T>(mut outcomes: Vec<(usize, T)>) -> Vec<T> {
    outcomes.sort_unstable_by_key(|(number, _)| *number);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
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
    fn a_part_ends_before_a_key_comes_again() {
        let items = [1, 2, 1, 1, 3, 2].into_iter().enumerate().map(|(number, n)| (number, key(n), 10));
        assert_eq!(parts(items, MAX_BYTES), [vec![0, 1], vec![2], vec![3, 4, 5]]);
        assert!(parts([], MAX_BYTES).is_empty());
    }

    #[test]
    fn a_part_is_bounded_in_items_and_bytes() {
        let lens = |parts: Vec<Vec<usize>>| parts.iter().map(Vec::len).collect::<Vec<_>>();
        let many = (0..300).map(|n| (usize::from(n), key(n), 10));
        assert_eq!(lens(parts(many, MAX_BYTES)), [128, 128, 44]);
        let large = [1, 5 << 20, 1, 3 << 20, 2 << 20].into_iter().enumerate();
        let large = large.map(|(n, bytes)| (n, key(u16::try_from(n).expect("few")), bytes));
        assert_eq!(parts(large, MAX_BYTES), [vec![0], vec![1], vec![2, 3], vec![4]]);
    }
}
