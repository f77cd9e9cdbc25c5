//! Values whose types change, and values that are hard to encode, through each codec. Either the
//! value is carried correctly, or there is a clear error: at `insert` if the codec cannot carry the
//! value, at `get` of that key alone if the type no longer fits. A value never changes silently.
//!
//! Run it also with `--features arbitrary-precision`, which changes how `serde_json` represents
//! numbers: the outcomes are the same.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Debug,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use session_manager::{Codec, SessionError, SessionManager, SessionValue};
use session_memory::MemoryStore;

use Codec::{Bincode, Json, MessagePack};

/// The outcome of storing and reading a value.
#[derive(Debug, PartialEq)]
enum Outcome<T> {
    Is(T),
    ErrorAtInsert,
    ErrorAtGet,
}
use Outcome::{ErrorAtGet, ErrorAtInsert, Is};

const CODECS: [Codec; 3] = [MessagePack, Json, Bincode];

/// Inserts `value`, saves, and gets it as a `T` in another request. Another key must be unaffected
/// in any case.
fn carry<W: SessionValue + ?Sized, T: DeserializeOwned>(codec: Codec, value: &W) -> Outcome<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let manager = SessionManager::builder(MemoryStore::new()).codec(codec).build().expect("settings");
        let session = manager.create();
        session.insert("neighbour", "unharmed").expect("text");
        let inserted = session.insert("value", value);
        session.save().await.expect("a save");
        let session = manager.load(&session.id().expect("stored")).await.expect("a read").expect("live");
        let neighbour = session.get::<String>("neighbour").await.expect("it is unharmed");
        assert_eq!(neighbour.as_deref(), Some("unharmed"));
        if let Err(error) = inserted {
            assert!(matches!(error, SessionError::Encode { .. }), "{error}");
            assert!(error.to_string().contains("\"value\""), "{error}");
            assert!(!session.contains("value").await.expect("loaded"));
            return ErrorAtInsert;
        }
        match session.get::<T>("value").await {
            Ok(value) => Is(value.expect("it was inserted")),
            Err(SessionError::Decode { key, .. }) => {
                assert_eq!(key, "value");
                ErrorAtGet
            }
            Err(error) => panic!("{error}"),
        }
    })
}

/// Writes and reads with the same type.
fn round<T: Serialize + DeserializeOwned + PartialEq + Debug>(codec: Codec, value: &T) -> Outcome<T> {
    carry::<T, T>(codec, value)
}

#[track_caller]
fn everywhere<T: Serialize + DeserializeOwned + PartialEq + Debug + Clone>(value: &T) {
    for codec in CODECS {
        assert_eq!(round(codec, value), Is(value.clone()), "{codec}");
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Old {
    name: String,
    nick: String,
    age: u32,
}

fn old() -> Old {
    Old { name: "Ada".into(), nick: "al".into(), age: 36 }
}

macro_rules! evolved {
    ($(#[$case:meta])* $test:ident, $new:ident { $($(#[$meta:meta])* $field:ident: $type:ty = $value:expr),* $(,)? }) => {
        #[test]
        $(#[$case])*
        fn $test() {
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            struct $new { $($(#[$meta])* $field: $type),* }
            let expected = $new { $($field: $value),* };
            for codec in [MessagePack, Json] {
                assert_eq!(carry::<Old, $new>(codec, &old()), Is(expected.clone()), "{codec}");
            }
            assert_eq!(carry::<Old, $new>(Bincode, &old()), ErrorAtGet);
        }
    };
}

evolved!(
    an_added_field_with_a_default,
    New {
        name: String = "Ada".into(),
        nick: String = "al".into(),
        age: u32 = 36,
        #[serde(default)]
        admin: bool = false,
    }
);
evolved!(an_added_optional_field, New {
    name: String = "Ada".into(), nick: String = "al".into(), age: u32 = 36, email: Option<String> = None,
});
evolved!(a_removed_field, New { name: String = "Ada".into(), age: u32 = 36 });
evolved!(
    fields_in_another_order,
    New { nick: String = "al".into(), age: u32 = 36, name: String = "Ada".into() }
);
evolved!(
    a_field_with_another_name,
    New {
        name: String = "Ada".into(),
        #[serde(alias = "nick")]
        handle: String = "al".into(),
        age: u32 = 36,
    }
);
evolved!(a_wider_number, New { name: String = "Ada".into(), nick: String = "al".into(), age: u64 = 36 });
evolved!(a_signed_number, New { name: String = "Ada".into(), nick: String = "al".into(), age: i32 = 36 });

#[test]
fn an_added_field_without_a_default_is_an_error() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct New {
        name: String,
        nick: String,
        age: u32,
        admin: bool,
    }
    for codec in CODECS {
        assert_eq!(carry::<Old, New>(codec, &old()), ErrorAtGet, "{codec}");
    }
}

#[test]
fn swapped_names_of_the_same_type_do_not_swap_silently() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Money {
        from: String,
        to: String,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Swapped {
        to: String,
        from: String,
    }
    let money = Money { from: "a".into(), to: "b".into() };
    for codec in [MessagePack, Json] {
        assert_eq!(carry(codec, &money), Is(Swapped { from: "a".into(), to: "b".into() }), "{codec}");
    }
    assert_eq!(carry::<Money, Swapped>(Bincode, &money), ErrorAtGet);
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Role {
    Author,
    Editor { since: u32 },
    Both(u8, u8),
    One(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum NewRole {
    Guest,
    Author,
    Editor { since: u32 },
    Both(u8, u8),
    One(String),
    Owner,
}

#[test]
fn enums_with_new_variants() {
    let roles = [
        (Role::Author, NewRole::Author),
        (Role::Editor { since: 7 }, NewRole::Editor { since: 7 }),
        (Role::Both(1, 2), NewRole::Both(1, 2)),
        (Role::One("x".into()), NewRole::One("x".into())),
    ];
    for (old, new) in roles {
        everywhere(&old);
        for codec in [MessagePack, Json] {
            assert_eq!(carry::<Role, NewRole>(codec, &old), Is(new.clone()), "{codec}");
        }
        assert_eq!(carry::<Role, NewRole>(Bincode, &old), ErrorAtGet);
    }
    for codec in CODECS {
        assert_eq!(
            carry::<NewRole, Role>(codec, &NewRole::Owner),
            ErrorAtGet,
            "{codec}: a variant unknown to the old type"
        );
        assert_eq!(
            carry::<NewRole, Role>(codec, &NewRole::Guest),
            ErrorAtGet,
            "{codec}: a variant unknown to the old type"
        );
    }
}

#[test]
fn values_of_any_shape() {
    let values = [
        json!(null),
        json!({"a": [1, -2, 3.5, u64::MAX, i64::MIN, 1e300, 0.1], "b": {"c": null, "": "text"}, "d": {}}),
        json!([true, {"z": 1, "y": {"x": []}}]),
        json!(0),
        json!("text"),
    ];
    for value in values {
        for codec in [MessagePack, Json] {
            assert_eq!(round(codec, &value), Is(value.clone()), "{codec}");
        }
        assert_eq!(round(Bincode, &value), ErrorAtInsert);
    }
}

#[test]
fn a_value_is_read_as_a_struct_and_the_other_way_round() {
    let value = json!({"name": "Ada", "nick": "al", "age": 36});
    for codec in [MessagePack, Json] {
        assert_eq!(carry::<Value, Old>(codec, &value), Is(old()), "{codec}");
        assert_eq!(carry::<Old, Value>(codec, &old()), Is(value.clone()), "{codec}");
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    id: u8,
    #[serde(flatten)]
    inner: Inner,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Inner {
    count: u64,
    share: f64,
}

#[test]
fn flattened_structs() {
    let rest = BTreeMap::from([("more".to_owned(), json!([1, 2.5])), ("big".to_owned(), json!(u64::MAX))]);
    let flat = Flat { id: 1, inner: Inner { count: 7, share: 0.25 }, rest };
    for codec in [MessagePack, Json] {
        assert_eq!(round(codec, &flat), Is(flat.clone()), "{codec}");
    }
    assert_eq!(round(Bincode, &flat), ErrorAtInsert);
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u64),
    Share(f64),
    Text(String),
    Struct { a: i32 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Tagged {
    Plain,
    Counted { count: u64, share: f64 },
}

#[test]
fn untagged_and_internally_tagged_enums() {
    use Untagged::{Number, Share, Struct, Text};
    for value in [Number(7), Number(u64::MAX), Share(0.5), Text("x".into()), Struct { a: -1 }] {
        for codec in [MessagePack, Json] {
            assert_eq!(round(codec, &value), Is(value.clone()), "{codec}");
        }
        assert_eq!(round(Bincode, &value), ErrorAtInsert);
    }
    for value in [Tagged::Plain, Tagged::Counted { count: 7, share: 1.5 }] {
        for codec in [MessagePack, Json] {
            assert_eq!(round(codec, &value), Is(value.clone()), "{codec}");
        }
        assert_eq!(round(Bincode, &value), ErrorAtInsert);
    }
}

#[test]
fn large_integers() {
    for number in [0, 1, u128::from(u64::MAX), u128::from(u64::MAX) + 1, u128::MAX] {
        everywhere(&number);
    }
    for number in [0, -1, i128::MIN, i128::MAX] {
        everywhere(&number);
    }
    everywhere(&[u64::MAX, 0]);
    everywhere(&[i64::MIN, i64::MAX]);
}

#[test]
fn floats_come_back_to_the_bit_or_not_at_all() {
    let floats =
        [0.0, -0.0, 0.1, 1.0 / 3.0, f64::MIN_POSITIVE, 5e-324, f64::MAX, 123_456_789.123_456_79, 1e23];
    for float in floats {
        for codec in CODECS {
            let Is(back) = carry::<f64, f64>(codec, &float) else { panic!("{codec} refused {float}") };
            assert_eq!(back.to_bits(), float.to_bits(), "{codec} {float}");
        }
    }
    for float in [f32::MAX, 0.1, f32::MIN_POSITIVE] {
        everywhere(&float);
    }
    for float in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for codec in [MessagePack, Bincode] {
            let Is(back) = carry::<f64, f64>(codec, &float) else { panic!("{codec} refused {float}") };
            assert_eq!(back.to_bits(), float.to_bits(), "{codec} {float}");
        }
        assert_eq!(round(Json, &float), ErrorAtInsert);
        // JSON would turn this value into a `None`.
        assert_eq!(round(Json, &Some(float)), ErrorAtInsert);
        assert_eq!(round(Json, &vec![Some(0.5), Some(float)]), ErrorAtInsert);
    }
}

#[test]
fn maps_whose_keys_are_not_text() {
    everywhere(&HashMap::from([(7_u32, "seven".to_owned()), (8, "eight".to_owned())]));
    everywhere(&BTreeMap::from([(-7_i64, 1), (8, 2)]));
    everywhere(&BTreeMap::from([(true, 1), (false, 2)]));
    everywhere(&BTreeMap::from([('a', 1)]));
    let pairs = BTreeMap::from([((1_u8, 2_u8), "pair".to_owned())]);
    for codec in [MessagePack, Bincode] {
        assert_eq!(round(codec, &pairs), Is(pairs.clone()), "{codec}");
    }
    assert_eq!(round(Json, &pairs), ErrorAtInsert);
    let options = BTreeMap::from([(Some(1_u8), 1), (None, 2)]);
    for codec in [MessagePack, Bincode] {
        assert_eq!(round(codec, &options), Is(options.clone()), "{codec}");
    }
    assert_eq!(round(Json, &options), ErrorAtInsert);
}

#[test]
fn a_some_of_nothing_does_not_become_nothing() {
    everywhere(&None::<Option<u8>>);
    everywhere(&Some(Some(7_u8)));
    for codec in [MessagePack, Json] {
        assert_eq!(round(codec, &Some(None::<u8>)), ErrorAtInsert, "{codec}");
        assert_eq!(round(codec, &Some(())), ErrorAtInsert, "{codec}");
        assert_eq!(round(codec, &vec![Some(None::<u8>)]), ErrorAtInsert, "{codec}");
    }
    assert_eq!(round(Bincode, &Some(None::<u8>)), Is(Some(None)));
    assert_eq!(round(Bincode, &Some(())), Is(Some(())));
}

#[test]
fn plain_things() {
    everywhere(&());
    everywhere(&"text".to_owned());
    everywhere(&String::new());
    everywhere(&'ß');
    everywhere(&(1, "two".to_owned(), [3.5, 4.5]));
    everywhere(&vec![0_u8; 1_000]);
    everywhere(&Some(old()));
    everywhere(&vec![old(), old()]);
    everywhere(&std::time::Duration::from_millis(1_500));
    everywhere(&std::net::IpAddr::from([127, 0, 0, 1]));
    for codec in CODECS {
        assert_eq!(carry::<str, String>(codec, "text"), Is("text".to_owned()));
        assert_eq!(carry::<[u32], Vec<u32>>(codec, &[1, 2, 3]), Is(vec![1, 2, 3]));
        assert_eq!(
            carry::<Vec<u32>, (u32, u32)>(codec, &vec![1, 2, 3]),
            ErrorAtGet,
            "{codec}: one more than there is room for"
        );
        assert_eq!(carry::<str, u64>(codec, "text"), ErrorAtGet, "{codec}");
        assert_eq!(carry::<u64, String>(codec, &7), ErrorAtGet, "{codec}");
    }
}

/// A number of a JSON document is stored the same in every build: a build without the feature reads
/// a record of a build with it.
#[test]
fn numbers_are_stored_the_same_with_and_without_arbitrary_precision() {
    use session_core::SessionStore;
    let value = json!({"n": 1, "f": 1.5, "l": [u64::MAX, -1]});
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        for codec in [MessagePack, Json] {
            let store = MemoryStore::new();
            let manager = SessionManager::builder(store.clone()).codec(codec).build().expect("settings");
            let session = manager.create();
            session.insert("value", &value).expect("a value");
            session.save().await.expect("a save");
            let data = store.read(&session.key().expect("stored")).await.expect("a read").expect("live").data;
            let magic = b"private::Number";
            assert!(!data.windows(magic.len()).any(|window| window == magic), "{codec}");
        }
    });
}
