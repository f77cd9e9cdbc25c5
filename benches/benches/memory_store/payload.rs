//! The data that an application keeps in a session, for stores that keep it unencoded.

use std::collections::HashMap;

use serde_json::{Value, json};
use session_core::SessionKey;

/// The type of `tower_sessions::session::Record::data`.
pub(crate) type Payload = HashMap<String, Value>;

/// Eight unique entries, about 400 bytes as JSON.
pub(crate) fn of(key: &SessionKey, number: u64) -> Payload {
    let hex = key.to_string();
    let entries = [
        ("user_id", json!(number)),
        ("name", json!(format!("Person Number {number:07}"))),
        ("email", json!(format!("person.{number:07}@mail.example.org"))),
        ("csrf_token", json!(hex[..64])),
        ("roles", json!(["author", "editor"])),
        ("locale", json!("de-CH")),
        ("return_to", json!(format!("/documents/{}/edit?tab=history", &hex[..32]))),
        (
            "notice",
            json!(
                "Your changes were saved; they will be visible to others within a few minutes or, at worst, an hour."
            ),
        ),
    ];
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The payload as JSON.
pub(crate) fn encode(payload: &Payload) -> Vec<u8> {
    serde_json::to_vec(payload).expect("all keys are text")
}

/// Decodes a payload from JSON.
pub(crate) fn decode(json: &[u8]) -> Payload {
    serde_json::from_slice(json).expect("it was encoded by this")
}
