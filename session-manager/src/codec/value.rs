use serde::{Serialize, de::DeserializeOwned};

/// What can be kept in a session: everything that serde can serialize *and* read back, and `str` and slices of such values.
///
/// It is implemented for all of these, and there is nothing to implement. The second half is what lets
/// [`insert`](crate::Session::insert) refuse at once what [`get`](crate::Session::get) could never return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept in a session",
    note = "a session keeps what implements `Serialize` and `DeserializeOwned`, so that what goes in can come out; for text \
            pass `\"text\"` or `&string`, not `&\"text\"`, and make borrowed values owned"
)]
pub trait SessionValue: Serialize {
    /// What it is when it is read back: the type itself, `String` for `str`, `Vec<T>` for `[T]`.
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
