//! The layout of encoded records. Deployed stores hold these very bytes, so they must stay
//! readable.

use std::time::Duration;

use data_encoding::HEXLOWER_PERMISSIVE;
use session_core::{
    Bytes, ErrorKind, Operation, Owner, OwnerChange, Record, StoredRecord, Ttl, Version, Write,
};

/// `SR`, format 1, an owner of 5 bytes, data of 3, expiry at 1,700,000,000,000 ms, the version, `alice`, `xyz`.
const GOLDEN: &str =
    "5352 01 05 0000000000000003 0000018bcfe56800 000102030405060708090a0b0c0d0e0f 616c696365 78797a";

/// The same without an owner and without data.
const GOLDEN_EMPTY: &str = "5352 01 00 0000000000000000 0000018bcfe56800 000102030405060708090a0b0c0d0e0f";

const AT: u64 = 1_700_000_000_000;

fn bytes(hex: &str) -> Vec<u8> {
    HEXLOWER_PERMISSIVE.decode(hex.replace(' ', "").as_bytes()).expect("hexadecimal digits")
}

fn decode(bytes: Vec<u8>) -> Result<StoredRecord, ErrorKind> {
    StoredRecord::decode(bytes, Operation::Read).map_err(|error| error.kind())
}

fn golden() -> StoredRecord {
    StoredRecord {
        data: "xyz".into(),
        version: Version::from_bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
        owner: Some(Owner::new("alice").expect("an owner")),
        expires_at: AT,
    }
}

#[test]
fn the_golden_bytes_are_written_and_read() {
    let empty = StoredRecord { data: Bytes::new(), owner: None, ..golden() };
    for (record, hex) in [(golden(), GOLDEN), (empty, GOLDEN_EMPTY)] {
        assert_eq!(record.encode()[..], bytes(hex)[..]);
        assert_eq!(decode(bytes(hex)), Ok(record));
    }
}

#[test]
fn every_length_of_owner_and_data_comes_back() {
    for owner_len in [0, 1, Owner::MAX_LEN] {
        for data_len in [0, 1, 255, 256, 100_000] {
            let record = StoredRecord {
                data: vec![0xff; data_len].into(),
                owner: (owner_len > 0).then(|| Owner::new("o".repeat(owner_len)).expect("an owner")),
                ..golden()
            };
            assert_eq!(decode(record.encode().to_vec()), Ok(record), "{owner_len} and {data_len}");
        }
    }
}

#[test]
fn what_is_not_whole_or_not_ours_is_corrupt_and_a_newer_format_unsupported() {
    let whole = bytes(GOLDEN);
    for len in 0..whole.len() {
        assert_eq!(decode(whole[..len].to_vec()), Err(ErrorKind::Corrupt), "cut off after {len}");
    }
    assert_eq!(decode([&whole[..], b"!"].concat()), Err(ErrorKind::Corrupt), "a byte too many");
    for (at, byte, kind) in [
        (0, b's', ErrorKind::Corrupt),
        (1, b'r', ErrorKind::Corrupt),
        (2, 0, ErrorKind::Corrupt),
        (2, 2, ErrorKind::Unsupported),
        (2, 255, ErrorKind::Unsupported),
        (3, 4, ErrorKind::Corrupt),
        (3, 0, ErrorKind::Corrupt),
        (4, 255, ErrorKind::Corrupt),
        (11, 2, ErrorKind::Corrupt),
        (37, 0xff, ErrorKind::Corrupt),
        (37, b'\n', ErrorKind::Corrupt),
    ] {
        let mut damaged = whole.clone();
        damaged[at] = byte;
        assert_eq!(decode(damaged), Err(kind), "byte {at} as {byte}");
    }
    assert_eq!(decode(b"SR\x02".to_vec()), Err(ErrorKind::Unsupported), "a newer format may be short");
}

#[test]
fn no_byte_makes_it_panic() {
    for at in 0..bytes(GOLDEN).len() {
        for byte in 0..=u8::MAX {
            let mut damaged = bytes(GOLDEN);
            damaged[at] = byte;
            if let Ok(record) = decode(damaged) {
                let longest = record.live(0).map_or(Duration::ZERO, |record| record.expires_in);
                assert!(longest <= Ttl::MAX.as_duration(), "byte {at} as {byte}");
            }
        }
    }
}

#[test]
fn a_write_becomes_a_record_that_lives_for_its_ttl() {
    let ttl = Ttl::new(Duration::from_millis(1_500)).expect("a ttl");
    let alice = Owner::new("alice").expect("an owner");
    let write = Write::new("x", ttl);
    let stored = StoredRecord::new(write.clone(), Some(alice.clone()), AT);
    let live = |left| {
        let (data, version) = (write.data.clone(), write.version);
        Some(Record { data, version, expires_in: Duration::from_millis(left), owner: Some(alice.clone()) })
    };
    assert_eq!(stored.clone().live(AT), live(1_500));
    assert_eq!(stored.clone().live(AT + 1_499), live(1));
    assert_eq!(stored.live(AT + 1_500), None);
    let cleared = StoredRecord::new(write.owner(OwnerChange::Clear), Some(alice), AT);
    assert_eq!(cleared.owner, None);
}
