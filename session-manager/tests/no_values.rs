//! Nothing that is displayed or logged contains a value of a session, or its owner.

use std::{collections::BTreeMap, error::Error, fmt::Debug};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, de::DeserializeOwned, ser};
use session_core::Owner;
use session_manager::{Codec, SessionError, SessionManager, SessionValue};
use session_memory::MemoryStore;

const CODECS: [Codec; 3] = [Codec::MessagePack, Codec::Json, Codec::Bincode];

/// The secrets, which no text may contain: a word, and numbers in decimal and hexadecimal digits.
const SECRETS: [&str; 4] = ["hunter2", "68213", "0x10a75", "-77"];

#[track_caller]
fn shows_no_secret(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{text}");
    }
}

/// Everything that a log can contain of an error.
fn texts(error: &(dyn Error + 'static)) -> String {
    let mut texts = format!("{error} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(error) = source {
        texts = format!("{texts} {error} {error:?}");
        source = error.source();
    }
    texts
}

#[track_caller]
fn says(error: &SessionError, type_name: &str) {
    let text = error.to_string();
    assert!(text.contains("\"login\"") && text.contains(type_name), "{text}");
    shows_no_secret(&texts(error));
}

/// The error of `get::<T>` after `value` was inserted.
async fn decode<T: DeserializeOwned + Debug>(
    codec: Codec,
    value: &(impl SessionValue + ?Sized),
) -> SessionError {
    let session =
        SessionManager::builder(MemoryStore::new()).codec(codec).build().expect("settings").create();
    session.insert("login", value).expect("the codec can carry it");
    let error = session.get::<T>("login").await.expect_err("it is of another type");
    assert!(matches!(error, SessionError::Decode { .. }), "{error:?}");
    error
}

#[derive(Debug, Deserialize, Serialize)]
enum Role {
    Author,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Login {
    name: String,
    number: u8,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
enum Untagged {
    Number(u8),
    Flag(bool),
}

/// A type that accepts nothing, and quotes its input in the error.
#[derive(Debug, Serialize)]
struct Picky;

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Err(de::Error::custom(format_args!("missing field `{text}`, or {text}")))
    }
}

#[tokio::test]
async fn a_value_of_another_type_is_not_quoted() {
    for codec in CODECS {
        says(&decode::<Vec<String>>(codec, "hunter2").await, "Vec<alloc::string::String>");
        says(&decode::<u64>(codec, "hunter2").await, "u64");
        says(&decode::<Role>(codec, "hunter2").await, "Role");
        says(&decode::<(u8, u8)>(codec, "hunter2").await, "(u8, u8)");
        says(&decode::<Picky>(codec, "hunter2").await, "Picky");
        says(&decode::<std::net::IpAddr>(codec, "hunter2").await, "IpAddr");
        says(&decode::<Untagged>(codec, "hunter2").await, "Untagged");
        says(&decode::<u8>(codec, &68_213).await, "u8");
        says(&decode::<u8>(codec, &-77).await, "u8");
        says(&decode::<String>(codec, &68_213).await, "String");
        says(&decode::<bool>(codec, &vec!["hunter2".to_owned()]).await, "bool");
        says(&decode::<(u32, u32)>(codec, &vec![68_213, 68_213, 68_213]).await, "(u32, u32)");
        let unknown = BTreeMap::from([("hunter2", "hunter2")].map(|(a, b)| (a.to_owned(), b.to_owned())));
        says(&decode::<Login>(codec, &unknown).await, "Login");
        says(&decode::<BTreeMap<u32, u32>>(codec, &unknown).await, "BTreeMap<u32, u32>");
        let flags = BTreeMap::from([("name", "hunter2"), ("number", "68213")]);
        let flags: BTreeMap<String, String> =
            flags.into_iter().map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
        says(&decode::<Login>(codec, &flags).await, "Login");
    }
}

#[tokio::test]
async fn a_failed_update_quotes_nothing() {
    for codec in CODECS {
        let manager = SessionManager::builder(MemoryStore::new()).codec(codec).build().expect("settings");
        let session = manager.create();
        session.insert("login", "hunter2").expect("text");
        session.save().await.expect("a save");
        let error = session.update("login", |n: Option<u64>| n.unwrap_or(0)).await.expect_err("no number");
        says(&error, "u64");
        let error = session.take::<u64>("login").await.expect_err("no number");
        says(&error, "u64");
    }
}

/// A type that cannot be encoded, and whose error contains a secret.
#[derive(Debug)]
struct Unspeakable;

impl Serialize for Unspeakable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(ser::Error::custom("hunter2 cannot be encoded"))
    }
}

impl<'de> Deserialize<'de> for Unspeakable {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Self)
    }
}

/// A type that can be encoded, but not decoded.
#[derive(Debug, Serialize)]
struct OneWay(String);

impl<'de> Deserialize<'de> for OneWay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Err(de::Error::unknown_variant(&text, &["a"]))
    }
}

fn encode<T: SessionValue>(codec: Codec, value: &T) -> SessionError {
    let session =
        SessionManager::builder(MemoryStore::new()).codec(codec).build().expect("settings").create();
    let error = session.insert("login", value).expect_err("the codec cannot carry it");
    assert!(matches!(error, SessionError::Encode { .. }), "{error:?}");
    error
}

#[test]
fn a_value_that_no_codec_carries_is_not_quoted() {
    for codec in CODECS {
        says(&encode(codec, &Unspeakable), "Unspeakable");
        says(&encode(codec, &OneWay("hunter2".into())), "OneWay");
    }
    says(&encode(Codec::Json, &BTreeMap::from([(vec!["hunter2".to_owned()], 1)])), "BTreeMap<");
    says(&encode(Codec::Json, &[Some(f64::NAN)]), "f64");
    says(&encode(Codec::MessagePack, &Some(None::<u8>)), "Option<u8>");
    says(&encode(Codec::Bincode, &serde_json::json!({"hunter2": 68_213})), "Value");
}

#[tokio::test]
async fn the_reason_is_said() {
    let text = decode::<Vec<String>>(Codec::MessagePack, "hunter2").await.to_string();
    assert!(text.contains("another type"), "{text}");
    let text = encode(Codec::Json, &f64::NAN).to_string();
    assert!(text.contains("not finite"), "{text}");
    let text = encode(Codec::Json, &Some(None::<u8>)).to_string();
    assert!(text.contains("Some(None)"), "{text}");
    let text = encode(Codec::Bincode, &serde_json::json!(1)).to_string();
    assert!(text.contains("told what comes next"), "{text}");
}

/// Checks `{:?}` and `{:#?}`.
#[track_caller]
fn debug_shows_no_secret(value: &dyn Debug) {
    shows_no_secret(&format!("{value:?} {value:#?}"));
}

#[tokio::test]
async fn nothing_that_holds_a_session_shows_it() {
    let manager = SessionManager::builder(MemoryStore::new())
        .on_event(|event| debug_shows_no_secret(event))
        .max_sessions_per_owner(1, session_manager::WhenReached::Refuse)
        .build()
        .expect("settings");
    let hunter = Owner::new("hunter2").expect("an owner");
    let session = manager.create();
    session.insert("login", "hunter2").expect("text");
    session.set_label("hunter2's telephone");
    debug_shows_no_secret(&session);
    session.login(hunter.clone()).await.expect("a login");
    session.insert("login", "hunter2 again").expect("text");
    debug_shows_no_secret(&session);
    debug_shows_no_secret(&session.cookie_change());
    debug_shows_no_secret(&hunter);
    debug_shows_no_secret(&manager.sessions_of(&hunter).await.expect("a list"));
    let refused = manager.create().login(hunter).await.expect_err("there is room for one");
    shows_no_secret(&texts(&refused));
    let key = session.key().expect("it is stored");
    let record = manager.store().read(&key).await.expect("a read").expect("it is live");
    debug_shows_no_secret(&record);
    debug_shows_no_secret(&session_manager::payload::Payload::decode(record.data).expect("a payload"));
}
