//! The data of the sessions: eight values, about 400 bytes as JSON.

use serde_json::{Value, json};

/// The key that is read.
pub(crate) const READ: &str = "user_id";

/// The values of a session.
pub(crate) fn values(number: u64) -> [(&'static str, Value); 8] {
    let hex = format!("{:064x}", u128::from(number) * 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834 % (1 << 127));
    [
        (READ, json!(number)),
        ("name", json!(format!("Person Number {number:07}"))),
        ("email", json!(format!("person.{number:07}@mail.example.org"))),
        ("csrf_token", json!(hex)),
        ("roles", json!(["author", "editor"])),
        ("locale", json!("de-CH")),
        ("return_to", json!(format!("/documents/{}/edit?tab=history", &hex[32..]))),
        (
            "notice",
            json!(
                "Your changes were saved; they will be visible to others within a few minutes or, at worst, an hour."
            ),
        ),
    ]
}
