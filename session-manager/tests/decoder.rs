//! Decoding any bytes gives a payload or an error. It never panics, never reserves more memory than
//! the bytes justify, and never returns a value of another session.
//!
//! `SESSION_SOAK` multiplies the cases; `fuzz/` holds the same checks for cargo-fuzz.

use std::collections::BTreeMap;

use proptest::{collection, prelude::*, test_runner::Config};
use session_core::SessionStore;
use session_manager::{
    Codec, SessionManager,
    payload::{Payload, PayloadError},
};
use session_memory::MemoryStore;

fn config() -> Config {
    let factor = std::env::var("SESSION_SOAK").ok().and_then(|factor| factor.parse().ok()).unwrap_or(1);
    Config { cases: 512 * factor, failure_persistence: None, ..Config::default() }
}

/// A payload with these values, as it is stored.
fn payload(codec: Codec, values: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let store = MemoryStore::new();
        let session = SessionManager::builder(store.clone()).codec(codec).build().expect("settings").create();
        session.insert("", "so that there is something to store").expect("text");
        for (key, value) in values {
            session.insert(key, value).expect("bytes");
        }
        session.save().await.expect("a save");
        store.read(&session.key().expect("stored")).await.expect("a read").expect("live").data.to_vec()
    })
}

/// Calls every accessor of a payload.
fn look(bytes: Vec<u8>) -> Result<Payload, PayloadError> {
    let payload = Payload::decode(bytes)?;
    let keys: Vec<String> = payload.keys().map(str::to_owned).collect();
    assert!(keys.is_sorted(), "keys ascend");
    for key in keys {
        let _ = payload.get::<serde_json::Value>(&key);
        let _ = payload.get::<BTreeMap<String, Vec<Option<f64>>>>(&key);
        let _ = payload.get::<String>(&key);
        let _ = payload.get::<Vec<(u64, bool)>>(&key);
        let _ = payload.get::<Vec<Vec<String>>>(&key);
    }
    let _ = (payload.created(), payload.saved(), payload.label().map(str::len), payload.codec());
    Ok(payload)
}

/// The bytes with a matching header, so that the code after the checksum is reached.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() >= 16 {
        let len = u32::try_from(bytes.len() - 16).expect("short");
        bytes[..3].copy_from_slice(b"SM\x01");
        bytes[6..8].fill(0);
        bytes[8..12].copy_from_slice(&len.to_le_bytes());
        let mut sum = crc32fast::Hasher::new();
        sum.update(&bytes[..12]);
        sum.update(&bytes[16..]);
        bytes[12..16].copy_from_slice(&sum.finalize().to_le_bytes());
    }
    bytes
}

fn codecs() -> impl Strategy<Value = Codec> {
    prop_oneof![Just(Codec::MessagePack), Just(Codec::Json), Just(Codec::Bincode)]
}

fn values() -> impl Strategy<Value = BTreeMap<String, Vec<u8>>> {
    collection::btree_map(".{0,20}", collection::vec(any::<u8>(), 0..400), 0..12)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_was_encoded_is_decoded(codec in codecs(), values in values()) {
        let payload = look(payload(codec, &values)).expect("it is whole");
        for (key, value) in &values {
            prop_assert_eq!(payload.get::<Vec<u8>>(key).expect("bytes"), Some(value.clone()));
        }
        let expected = values.len() + usize::from(!values.contains_key(""));
        prop_assert_eq!(payload.keys().len(), expected);
    }

    #[test]
    fn arbitrary_bytes_are_an_error(bytes in collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(look(bytes).is_err());
    }

    #[test]
    fn arbitrary_bytes_behind_a_good_header_do_no_harm(bytes in collection::vec(any::<u8>(), 16..600)) {
        let _ = look(sealed(bytes));
    }

    #[test]
    fn every_damage_is_noticed(
        codec in codecs(), values in values(), at in any::<prop::sample::Index>(), flip in 1_u8..,
    ) {
        let mut bytes = payload(codec, &values);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(look(bytes).is_err());
    }

    #[test]
    fn every_cut_is_noticed(codec in codecs(), values in values(), at in any::<prop::sample::Index>()) {
        let mut bytes = payload(codec, &values);
        bytes.truncate(at.index(bytes.len()));
        prop_assert!(look(bytes).is_err());
    }

    /// Damaged bytes with a valid checksum, as from a faulty writer.
    #[test]
    fn damage_behind_a_good_checksum_does_no_harm(
        codec in codecs(), values in values(),
        damages in collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = payload(codec, &values);
        for (at, to) in damages {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        let _ = look(sealed(bytes));
    }
}
