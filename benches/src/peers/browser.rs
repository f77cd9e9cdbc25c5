use std::collections::HashMap;

use parking_lot::Mutex;

/// What a visitor's browser does with cookies: an id that an answer replaced is not sent again.
///
/// Libraries that cannot save a session under its id any more save it under a new one. The visitor follows, so what a check asks about the old
/// id is asked about the new one.
#[derive(Debug, Default)]
pub(super) struct Browser(Mutex<HashMap<String, String>>);

impl Browser {
    /// The cookie that a visitor sends who was given this id.
    pub(super) fn cookie(&self, id: &str) -> String {
        let replaced = self.0.lock();
        let mut id = id;
        while let Some(next) = replaced.get(id) {
            id = next;
        }
        id.to_owned()
    }

    /// An answer to a request with the cookie `old` sets the cookie `new`.
    pub(super) fn set_cookie(&self, old: &str, new: &str) {
        if old != new {
            self.0.lock().insert(old.to_owned(), new.to_owned());
        }
    }
}
