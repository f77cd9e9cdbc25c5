//! The files in `tests/golden` are payloads as written by releases. All later releases must read
//! them. A new format adds files and changes none.
//!
//! `SESSION_GOLDEN=write cargo test -p codec-tests --test golden` writes the missing files, and
//! changes no others.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use session_core::{Owner, SessionStore};
use session_manager::{Codec, SessionManager, payload::Payload};
use session_memory::MemoryStore;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Cart {
    items: Vec<(String, u32)>,
    coupon: Option<String>,
    paid: Paid,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Paid {
    Not,
    By { card: String, cents: u64 },
}

fn cart() -> Cart {
    Cart {
        items: vec![("book".into(), 2), ("Füller".into(), 1)],
        coupon: None,
        paid: Paid::By { card: "visa".into(), cents: 4_200 },
    }
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// A session that uses every part of the format.
async fn write(codec: Codec) -> Vec<u8> {
    let store = MemoryStore::new();
    let manager =
        SessionManager::builder(store.clone()).codec(codec).schema_version(513).build().expect("settings");
    let session = manager.create();
    session.insert("cart", &cart()).expect("a cart");
    session.insert("empty", "").expect("text");
    session.insert("long", &"x".repeat(300)).expect("text");
    session.insert("ключ", &-7_i64).expect("a number");
    if codec != Codec::Bincode {
        session.insert("any", &json!({"a": [1, 2.5, null]})).expect("a value");
    }
    session.set_label("Firefox on Linux");
    session.set_timeouts(Duration::from_hours(1), Duration::from_hours(9)).expect("usable");
    session.login(Owner::new("alice").expect("an owner")).await.expect("a login");
    for n in 0..10 {
        session.update("n", |_: Option<u16>| n).await.expect("an update");
    }
    store.read(&session.key().expect("stored")).await.expect("a read").expect("live").data.to_vec()
}

#[tokio::test]
async fn payloads_of_all_releases_are_read() {
    let codecs = [("message_pack", Codec::MessagePack), ("json", Codec::Json), ("bincode", Codec::Bincode)];
    for (name, codec) in codecs {
        let path = directory().join(format!("format_1_{name}.bin"));
        if std::env::var_os("SESSION_GOLDEN").is_some_and(|what| what == "write") && !path.exists() {
            fs::write(&path, write(codec).await).expect("a file");
        }
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let payload = Payload::decode(bytes).expect("it is read for ever");
        assert_eq!((payload.codec(), payload.schema_version()), (Some(codec), 513), "{name}");
        assert_eq!(payload.label(), Some("Firefox on Linux"));
        assert!(payload.created() <= payload.saved());
        assert_eq!(payload.get("cart").expect("a cart"), Some(cart()), "{name}");
        assert_eq!(payload.get("empty").expect("text"), Some(String::new()));
        assert_eq!(payload.get("long").expect("text"), Some("x".repeat(300)));
        assert_eq!(payload.get("ключ").expect("a number"), Some(-7_i64));
        assert_eq!(payload.get("n").expect("a number"), Some(9_u16));
        if codec != Codec::Bincode {
            let expected: BTreeMap<String, Value> = BTreeMap::from([("a".to_owned(), json!([1, 2.5, null]))]);
            assert_eq!(payload.get("any").expect("a value"), Some(expected));
        }
    }
}

#[tokio::test]
async fn this_release_still_writes_the_same_format() {
    for (name, codec) in
        [("message_pack", Codec::MessagePack), ("json", Codec::Json), ("bincode", Codec::Bincode)]
    {
        let golden = fs::read(directory().join(format!("format_1_{name}.bin"))).expect("a golden file");
        let now = write(codec).await;
        // Compares everything except the checksum, the times, the family and the trace.
        assert_eq!(now[..12], golden[..12], "{name}: the header");
        let values = |bytes: &[u8]| {
            let at = bytes.windows(16).position(|window| window == b"Firefox on Linux").expect("the label");
            bytes[at..].to_vec()
        };
        assert_eq!(values(&now), values(&golden), "{name}: the values");
    }
}
