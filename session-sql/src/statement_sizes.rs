//! Pads statements to a few sizes, so that few of them are prepared. The padding costs little.

use crate::chunk::MAX_ITEMS;

/// The number of statement sizes: 1, 2, 4, and so on up to [`MAX_ITEMS`].
pub(crate) const SIZES: usize = MAX_ITEMS.ilog2() as usize + 1;

/// The smallest statement size that has room for `items`.
pub(crate) fn padded(items: usize) -> usize {
    items.next_power_of_two().min(MAX_ITEMS)
}

/// The index of a [padded](padded) size among the [`SIZES`].
pub(crate) fn size_index(size: usize) -> usize {
    (size.max(1).ilog2() as usize).min(SIZES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_two() {
        assert_eq!([1, 2, 3, 5, 100, 128].map(padded), [1, 2, 4, 8, 128, 128]);
        assert_eq!([1, 2, 4, 128].map(size_index), [0, 1, 2, SIZES - 1]);
    }
}
