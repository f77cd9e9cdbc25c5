//! The body of a payload: the manager's part, then the application's values, each as key, codec and
//! bytes, in the order of their keys. Every part has a fixed static shape, encoded by bincode with
//! variable-length integers and a size limit.

use bincode::config::{self, Configuration, Limit, LittleEndian, Varint};

use super::{
    PayloadError,
    meta::{Meta, RecentVersions},
};

/// The most bytes that a length in a damaged table can make the decoder reserve.
const LIMIT: usize = 256 << 20;

type Config = Configuration<LittleEndian, Varint, Limit<LIMIT>>;

const CONFIG: Config = config::standard().with_limit::<LIMIT>();

/// The position of a value within a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: Span,
    pub(crate) value: Span,
    pub(crate) codec: u8,
}

/// A range of bytes of a payload, which is never larger than 4 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn new(start: usize, end: usize) -> Self {
        let clip = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: clip(start), end: clip(end) }
    }

    pub(crate) fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

type MetaShape<'a> = (u64, u64, [u8; 8], &'a [u8], Option<&'a str>, Option<(u64, u64)>);
type EntryShape<'a> = (&'a str, u8, &'a [u8]);

/// Appends the manager's part and the number of values that follow.
pub(crate) fn begin(to: &mut Vec<u8>, meta: &Meta, values: usize) {
    let shape: MetaShape<'_> =
        (meta.created, meta.saved, meta.family, meta.trace.as_bytes(), meta.label.as_deref(), meta.timeouts);
    put(to, (shape, values as u64));
}

/// Appends a value, and returns its position. The keys must be appended in ascending order.
pub(crate) fn push(to: &mut Vec<u8>, key: &str, codec: u8, value: &[u8]) -> Entry {
    let shape: EntryShape<'_> = (key, codec, value);
    put(to, shape);
    let value_at = to.len() - value.len();
    // The codec and the value's length are between key and value.
    let key_end = value_at - 1 - varint_len(value.len());
    Entry { key: Span::new(key_end - key.len(), key_end), value: Span::new(value_at, to.len()), codec }
}

fn put(to: &mut Vec<u8>, shape: impl bincode::Encode) {
    bincode::encode_into_std_write(shape, to, CONFIG).expect("memory takes all that is written to it");
}

/// The number of bytes that bincode writes for a length.
fn varint_len(len: usize) -> usize {
    match len {
        0..=250 => 1,
        251..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// Reads the body, which begins at `offset` of the payload.
#[inline]
pub(crate) fn read(body: &[u8], offset: usize) -> Result<(Meta, Vec<Entry>), PayloadError> {
    let (meta, count, mut at) = read_meta(body)?;
    // A value takes at least three bytes, so a wrong count cannot reserve much more than the
    // payload's size.
    let most = (body.len() - at) / 3;
    let count = usize::try_from(count).ok().filter(|count| *count <= most);
    let count = count.ok_or(PayloadError::Damaged("it is too short for its values"))?;
    let mut entries = Vec::with_capacity(count);
    let mut last: Option<&[u8]> = None;
    for _ in 0..count {
        let malformed = PayloadError::Damaged("a value is malformed");
        let (entry, key, end) = read_entry(body, at, offset).ok_or(malformed)?;
        // UTF-8 sorts like its bytes.
        if last.is_some_and(|last| last >= key) {
            return Err(PayloadError::Damaged("its keys are not in order"));
        }
        if !key.is_ascii() && str::from_utf8(key).is_err() {
            return Err(PayloadError::Damaged("a key is not text"));
        }
        (last, at) = (Some(key), end);
        entries.push(entry);
    }
    if at == body.len() {
        Ok((meta, entries))
    } else {
        Err(PayloadError::Damaged("there are bytes behind its last value"))
    }
}

/// Reads a [`MetaShape`] and the number that follows it, as bincode would; a test checks this. Also
/// returns where the values begin.
#[inline]
fn read_meta(body: &[u8]) -> Result<(Meta, u64, usize), PayloadError> {
    let malformed = || PayloadError::Damaged("its first part is malformed");
    let mut bytes = Bytes { of: body, at: 0 };
    let (created, saved) = (bytes.number().ok_or_else(malformed)?, bytes.number().ok_or_else(malformed)?);
    let family = bytes.array().ok_or_else(malformed)?;
    let trace = bytes.slice().ok_or_else(malformed)?;
    let label = match bytes.option(Bytes::slice).ok_or_else(malformed)? {
        Some(label) => Some(str::from_utf8(label).map_err(|_| malformed())?.into()),
        None => None,
    };
    let timeouts = bytes.option(|bytes| Some((bytes.number()?, bytes.number()?))).ok_or_else(malformed)?;
    let count = bytes.number().ok_or_else(malformed)?;
    let trace = RecentVersions::from_bytes(trace).ok_or(PayloadError::Damaged("its trace is malformed"))?;
    Ok((Meta { created, saved, family, trace, label, timeouts }, count, bytes.at))
}

/// Bytes that bincode has written, and the number of them that were read.
struct Bytes<'a> {
    of: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    /// A variable-length integer.
    fn number(&mut self) -> Option<u64> {
        let [first] = self.array()?;
        Some(match first {
            0..=250 => u64::from(first),
            251 => u64::from(u16::from_le_bytes(self.array()?)),
            252 => u64::from(u32::from_le_bytes(self.array()?)),
            253 => u64::from_le_bytes(self.array()?),
            _ => return None,
        })
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let array = *self.of.get(self.at..)?.first_chunk()?;
        self.at += N;
        Some(array)
    }

    fn slice(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        let end = self.at.checked_add(len)?;
        let slice = self.of.get(self.at..end)?;
        self.at = end;
        Some(slice)
    }

    #[expect(clippy::option_option, reason = "an option, if there is one")]
    fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.array()? {
            [0] => Some(None),
            [1] => read(self).map(Some),
            _ => None,
        }
    }
}

/// Reads an [`EntryShape`] as bincode would, in a quarter of the time; a test checks that the
/// result is the same. This is most of the cost of loading a session.
///
/// Returns the entry, its key, and where the next entry begins.
fn read_entry(body: &[u8], at: usize, offset: usize) -> Option<(Entry, &[u8], usize)> {
    let mut bytes = Bytes { of: body, at };
    let key = bytes.slice()?;
    let key_end = offset + bytes.at;
    let [codec] = bytes.array()?;
    let value = bytes.slice()?;
    let end = offset + bytes.at;
    let (key_at, value_at) = (key_end - key.len(), end - value.len());
    Some((Entry { key: Span::new(key_at, key_end), value: Span::new(value_at, end), codec }, key, bytes.at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reads_entries_as_bincode_does(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..60),
            starts in proptest::collection::vec(prop_oneof![0_u8..12, 250_u8..], 2),
        ) {
            if bytes.len() > 3 {
                bytes[0] = starts[0];
                bytes[2] = starts[1];
            }
            let theirs: Option<(EntryShape<'_>, usize)> = bincode::borrow_decode_from_slice(&bytes, CONFIG).ok();
            let ours = read_entry(&bytes, 0, 0).filter(|(_, key, _)| str::from_utf8(key).is_ok());
            let ours = ours.map(|(entry, key, end)| ((key, entry.codec, entry.value.of(&bytes)), end));
            prop_assert_eq!(theirs.map(|((key, codec, value), end)| ((key.as_bytes(), codec, value), end)), ours);
        }

        #[test]
        fn reads_the_first_part_as_bincode_does(
            mut bytes in proptest::collection::vec(any::<u8>(), 12..80),
            numbers in proptest::collection::vec(0_u8..4, 6),
        ) {
            // Most random bytes are malformed. Short numbers, lengths and tags in the likely places
            // let more of them through.
            bytes[0] = numbers[0];
            bytes[1] = numbers[1].saturating_add(249);
            for (byte, number) in bytes.iter_mut().skip(10).zip(&numbers[2..]) {
                *byte = *number;
            }
            let theirs: Option<((MetaShape<'_>, u64), usize)> = bincode::borrow_decode_from_slice(&bytes, CONFIG).ok();
            let theirs = theirs.and_then(|((shape, count), end)| {
                let (created, saved, family, trace, label, timeouts) = shape;
                let trace = RecentVersions::from_bytes(trace)?;
                Some((Meta { created, saved, family, trace, label: label.map(Into::into), timeouts }, count, end))
            });
            prop_assert_eq!(theirs, read_meta(&bytes).ok());
        }

        #[test]
        fn reads_the_first_part_that_was_written(
            (created, saved, family, count) in any::<(u64, u64, [u8; 8], u64)>(),
            tokens in 0..=8_usize,
            label in proptest::option::of(".{0,300}"),
            timeouts: Option<(u64, u64)>,
        ) {
            let trace = RecentVersions::from_bytes(&vec![7; tokens * 4]).expect("a trace");
            let meta = Meta { created, saved, family, trace, label: label.map(Into::into), timeouts };
            let mut bytes = Vec::new();
            begin(&mut bytes, &meta, usize::try_from(count).expect("64 bits"));
            prop_assert_eq!(read_meta(&bytes), Ok((meta, count, bytes.len())));
            for len in 0..bytes.len() {
                prop_assert!(read_meta(&bytes[..len]).is_err(), "a part is no whole");
            }
        }

        #[test]
        fn says_where_an_entry_is(key in ".{0,300}", value in proptest::collection::vec(any::<u8>(), 0..70_000), codec: u8) {
            let mut bytes = b"before".to_vec();
            let pushed = push(&mut bytes, &key, codec, &value);
            let (read, _, end) = read_entry(&bytes, 6, 0).expect("it was just written");
            prop_assert_eq!((pushed, end), (read, bytes.len()));
            prop_assert_eq!(read.key.of(&bytes), key.as_bytes());
            prop_assert_eq!(read.value.of(&bytes), value);
        }
    }
}
