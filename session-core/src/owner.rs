use std::{fmt, str::FromStr, sync::Arc};

use crate::{Error, ErrorKind, Operation, Result};

/// The owner of a session, usually a user's id, by which "log out everywhere" finds sessions.
///
/// Any text of 1 to 255 bytes without control characters. Two owners are equal only if their bytes
/// are: case, accents and trailing spaces count. Cloning shares the text.
///
/// An owner is personal data. `Debug` shows no part of it, so a log of a value that contains an
/// owner does not reveal it. [`as_str`](Owner::as_str) and `Display` show it.
///
/// ```
/// use session_core::{ErrorKind, Owner};
///
/// let owner = Owner::new("user:4711")?;
/// assert_eq!(owner.as_str(), "user:4711");
/// assert_eq!(format!("{owner:?}"), "Owner(..)");
/// assert_eq!(Owner::new("").unwrap_err().kind(), ErrorKind::InvalidOwner);
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(Arc<str>);

impl Owner {
    /// The maximum length of an owner, in bytes: the longest text that all engines index without
    /// further settings.
    pub const MAX_LEN: usize = 255;

    /// An owner with this text.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOwner`] if the text is empty, longer than [`Owner::MAX_LEN`] bytes, or holds a control
    /// character (among them NUL and line breaks).
    pub fn new(text: impl AsRef<str>) -> Result<Self> {
        let text = text.as_ref();
        let invalid =
            |reason: String| Error::new(ErrorKind::InvalidOwner, Operation::Validate).because(reason);
        if text.is_empty() {
            return Err(invalid("it is empty; a session of nobody has no owner".to_owned()));
        }
        if text.len() > Self::MAX_LEN {
            return Err(invalid(format!("it has {} bytes, and {} are the most", text.len(), Self::MAX_LEN)));
        }
        if let Some(at) = text.find(char::is_control) {
            return Err(invalid(format!("there is a control character at byte {at}")));
        }
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Owner {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owner(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_long_and_control_characters_are_refused() {
        let long = "x".repeat(256);
        for (text, said) in [
            ("", "empty"),
            (long.as_str(), "256 bytes"),
            ("a\0b", "byte 1"),
            ("line\nbreak", "byte 4"),
            ("tab\t", "byte 3"),
            ("\u{7f}", "byte 0"),
            ("\u{85}", "byte 0"),
        ] {
            let error = Owner::new(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidOwner);
            assert!(error.to_string().contains(said), "{error}");
        }
    }

    #[test]
    fn anything_else_is_kept_as_it_is() {
        for text in ["a", " ", "a ", "Ä", "A\u{308}", "日本", "*", "%_'\"\\", &"é".repeat(127)] {
            assert_eq!(Owner::new(text).expect(text).as_str(), text);
        }
    }
}
