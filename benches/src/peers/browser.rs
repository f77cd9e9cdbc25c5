use std::collections::HashMap;

use parking_lot::Mutex;

/// The cookies of a visitor's browser: an id that an answer replaced is not sent again.
///
/// A library that can no longer save a session under its id saves it under a new one. The visitor
/// follows, so a check that uses the old id reaches the new one.
#[derive(Debug, Default)]
pub(super) struct Browser(Mutex<HashMap<String, String>>);

impl Browser {
    /// The cookie that the visitor with this original id sends now.
    pub(super) fn cookie(&self, id: &str) -> String {
        let replaced = self.0.lock();
        let mut id = id;
        while let Some(next) = replaced.get(id) {
            id = next;
        }
        id.to_owned()
    }

    /// Records that an answer to a request with the cookie `old` sets the cookie `new`.
    pub(super) fn set_cookie(&self, old: &str, new: &str) {
        if old != new {
            self.0.lock().insert(old.to_owned(), new.to_owned());
        }
    }
}
