use serde::{Serialize, de::DeserializeOwned};

/// A value that can be kept in a session: everything that serde can serialize *and* deserialize,
/// and `str` and slices of such values.
///
/// The trait is implemented for all of these. Deserialization is required so that
/// [`insert`](crate::Session::insert) can refuse at once what [`get`](crate::Session::get) could
/// never return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept in a session",
    note = "a session keeps what implements `Serialize` and `DeserializeOwned`, so that what goes in can come out; for text \
            pass `\"text\"` or `&string`, not `&\"text\"`, and make borrowed values owned"
)]
pub trait SessionValue: Serialize {
    /// The type of the value when it is read back: the type itself, `String` for `str`, `Vec<T>`
    /// for `[T]`.
    type Stored: DeserializeOwned;
}

impl<T: Serialize + DeserializeOwned> SessionValue for T {
    type Stored = T;
}

impl SessionValue for str {
    type Stored = String;
}

impl<T: Serialize + DeserializeOwned> SessionValue for [T] {
    type Stored = Vec<T>;
}
