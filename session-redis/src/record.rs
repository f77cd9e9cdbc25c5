use std::time::Duration;

use session_core::{Bytes, Error, ErrorKind, Operation, Owner, Record, Result, Version};

/// The length of a record before the owner and the data. `scripts/prelude.lua`, which makes
/// records, describes the layout.
pub(crate) const HEAD: usize = 32;

/// The only format so far.
const FORMAT: u8 = 1;

/// Decodes a record. `None` if it has expired at `now`, the server's time in microseconds since
/// 1970.
pub(crate) fn decode(operation: Operation, raw: Vec<u8>, now: u64) -> Result<Option<Record>> {
    let corrupt = |reason: &str| Err(Error::new(ErrorKind::Corrupt, operation).because(reason));
    let Some((head, rest)) = raw.split_first_chunk::<HEAD>() else {
        return corrupt("it is shorter than any record");
    };
    if head[0] != b'S' {
        return corrupt("something else was stored under its key");
    }
    if head[1] != FORMAT {
        let reason = format!("it has format {}, and this release knows {FORMAT}", head[1]);
        return Err(Error::new(ErrorKind::Unsupported, operation).because(reason));
    }
    let owner_len = usize::from(head[2]);
    let data_len = number(&head[4..8]);
    if (owner_len as u64).checked_add(data_len) != Some(rest.len() as u64) {
        return corrupt("it has another length than it says");
    }
    let owner = match std::str::from_utf8(&rest[..owner_len]).map(Owner::new) {
        _ if owner_len == 0 => None,
        Ok(Ok(owner)) => Some(owner),
        _ => return corrupt("its owner is not readable"),
    };
    let Some(left) = number(&head[8..16]).checked_sub(now).filter(|left| *left > 0) else { return Ok(None) };
    let mut version = [0; Version::LEN];
    version.copy_from_slice(&head[16..]);
    Ok(Some(Record {
        data: Bytes::from(raw).slice(HEAD + owner_len..),
        version: Version::from_bytes(version),
        expires_in: Duration::from_micros(left),
        owner,
    }))
}

/// The version in the head of a record, and whether the record was touched since it was written.
pub(crate) fn version_of_head(head: &[u8]) -> Option<(Version, bool)> {
    let [b'S', FORMAT, _, touched, rest @ ..] = <&[u8; HEAD]>::try_from(head).ok()? else { return None };
    let mut version = [0; Version::LEN];
    version.copy_from_slice(&rest[12..]);
    Some((Version::from_bytes(version), *touched != 0))
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut raw = vec![b'S', 1, 5, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 4, 0];
        raw.extend([7; 16]);
        raw.extend(b"alicexyz");
        raw
    }

    #[test]
    fn a_record_is_read() {
        let record = decode(Operation::Read, sample(), 1000).expect("a record").expect("it is live");
        assert_eq!((&record.data[..], record.expires_in), (&b"xyz"[..], Duration::from_micros(24)));
        assert_eq!(record.owner.expect("an owner").as_str(), "alice");
        assert_eq!(decode(Operation::Read, sample(), 1024).expect("a record"), None);
    }

    #[test]
    fn anything_else_is_refused_and_never_a_panic() {
        let whole = sample();
        for len in 0..whole.len() {
            let error = decode(Operation::Read, whole[..len].to_vec(), 0).expect_err("it is cut off");
            assert_eq!(error.kind(), ErrorKind::Corrupt);
        }
        for (at, byte, kind) in [
            (0, b's', ErrorKind::Corrupt),
            (1, 2, ErrorKind::Unsupported),
            (2, 4, ErrorKind::Corrupt),
            (4, 255, ErrorKind::Corrupt),
            (7, 9, ErrorKind::Corrupt),
            (33, 0xff, ErrorKind::Corrupt),
            (33, b'\n', ErrorKind::Corrupt),
        ] {
            let mut raw = whole.clone();
            raw[at] = byte;
            assert_eq!(decode(Operation::Read, raw, 0).expect_err("it is damaged").kind(), kind, "byte {at}");
        }
    }

    #[test]
    fn a_head_tells_its_version_and_whether_it_was_touched() {
        let mut head = sample()[..HEAD].to_vec();
        let version = Version::from_bytes([7; 16]);
        assert_eq!(version_of_head(&head), Some((version, false)));
        head[3] = 1;
        assert_eq!(version_of_head(&head), Some((version, true)));
        assert_eq!(version_of_head(&head[..HEAD - 1]), None);
        assert_eq!(version_of_head(&[]), None);
    }
}
