use std::{fmt, str::FromStr};

use data_encoding::BASE64URL_NOPAD;
use zeroize::{Zeroize, Zeroizing};

use crate::{Error, ErrorKind, Operation, Purpose, SessionKey};

/// The secret that a client holds, usually in a cookie. Possession of it gives access to the
/// session.
///
/// An id is one shard byte and 20 bytes (160 bits) from the operating system's generator, twice
/// what the [OWASP guidance] asks for, written as 28 characters of base64url. A store sees only the
/// [key](SessionId::key) of an id, so a leaked dump of the store gives access to no session.
///
/// The shard byte does not count towards the secret. It stays the same when a session gets a new
/// id, so that a partitioned engine keeps the old and the new record on one partition and can swap
/// them in one step.
///
/// `Debug` shows no part of the id. The bytes are overwritten when the id is dropped.
///
/// ```
/// use session_core::SessionId;
///
/// let id = SessionId::generate();
/// let cookie = id.expose();
/// assert_eq!(cookie.len(), SessionId::TEXT_LEN);
/// assert_eq!(cookie.parse::<SessionId>()?, id);
/// assert_eq!(format!("{id:?}"), "SessionId(..)");
/// # Ok::<(), session_core::Error>(())
/// ```
///
/// [OWASP guidance]: https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html#session-id-entropy
#[derive(Clone)]
pub struct SessionId([u8; Self::LEN]);

impl SessionId {
    const LEN: usize = 21;

    /// The number of characters in the text form.
    pub const TEXT_LEN: usize = 28;

    /// Draws a new id from the operating system's generator.
    ///
    /// # Panics
    /// If the operating system cannot supply random bytes. A guessable id would be worse.
    pub fn generate() -> Self {
        let mut bytes = [0; Self::LEN];
        getrandom::fill(&mut bytes).expect("the operating system supplies random bytes");
        Self(bytes)
    }

    /// Draws a new id for the same session. It keeps the shard byte and nothing else.
    ///
    /// # Panics
    /// As [`generate`](Self::generate).
    #[must_use]
    pub fn rotate(&self) -> Self {
        let mut next = Self::generate();
        next.0[0] = self.0[0];
        next
    }

    /// The key under which a store keeps the session. Costs one SHA-256 of 21 bytes, and cannot be
    /// reversed.
    pub fn key(&self) -> SessionKey {
        SessionKey::from_id_bytes(&self.0)
    }

    /// The key for ids of this purpose.
    ///
    /// It differs from the key of every other purpose, and from [`key`](Self::key). Costs one
    /// SHA-256 of 37 bytes, as much as that of 21 bytes.
    pub fn key_for(&self, purpose: &Purpose) -> SessionKey {
        SessionKey::from_id_bytes_for(&self.0, purpose)
    }

    /// The text form. Give it only to the client: it is a password. The returned string is
    /// overwritten when dropped.
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64URL_NOPAD.encode(&self.0))
    }
}

impl FromStr for SessionId {
    type Err = Error;

    /// Accepts exactly what [`expose`](SessionId::expose) returns: 28 characters of base64url, no
    /// padding, no white space. Ids and accepted texts correspond one to one.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidId`]. The text is not repeated in the error.
    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = |reason: &str| Error::new(ErrorKind::InvalidId, Operation::Validate).because(reason);
        if text.len() != Self::TEXT_LEN {
            return Err(invalid("an id has 28 characters"));
        }
        let mut id = Self([0; Self::LEN]);
        match BASE64URL_NOPAD.decode_mut(text.as_bytes(), &mut id.0) {
            Ok(Self::LEN) => Ok(id),
            _ => Err(invalid("an id has only the characters A-Z, a-z, 0-9, '-' and '_'")),
        }
    }
}

impl PartialEq for SessionId {
    /// Compares in constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
    }
}

impl Eq for SessionId {}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

impl Drop for SessionId {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_do_not_repeat_and_every_byte_varies() {
        let ids: Vec<SessionId> = (0..1_000).map(|_| SessionId::generate()).collect();
        for byte in 0..SessionId::LEN {
            let seen: HashSet<u8> = ids.iter().map(|id| id.0[byte]).collect();
            assert!(seen.len() > 200, "byte {byte} took only {} values", seen.len());
        }
    }

    #[test]
    fn rotation_keeps_the_shard_and_nothing_else() {
        let old = SessionId::generate();
        let new = old.rotate();
        assert_eq!(old.key().shard(), new.key().shard());
        assert_ne!(old.0[1..], new.0[1..]);
    }

    #[test]
    fn a_purpose_has_keys_of_its_own_on_the_same_shard() {
        let id = SessionId::generate();
        let [shop, admin] = ["shop", "admin"].map(|name| id.key_for(&Purpose::new(name)));
        assert_eq!(HashSet::from([shop, admin, id.key()]).len(), 3);
        assert_eq!(shop, id.key_for(&Purpose::new("shop")));
        for key in [shop, admin, id.rotate().key_for(&Purpose::new("shop"))] {
            assert_eq!(key.shard(), id.key().shard());
        }
    }

    #[test]
    fn malformed_text_is_refused_and_not_repeated() {
        let good = SessionId::generate().expose().to_string();
        let with = |at: usize, c: &str| format!("{}{c}{}", &good[..at], &good[at + 1..]);
        let texts = [
            String::new(),
            good[..27].to_owned(),
            format!("{good}A"),
            format!("{good}="),
            format!(" {}", &good[1..]),
            with(27, " "),
            with(3, "+"),
            with(3, "/"),
            with(3, "="),
            with(3, "\0"),
            with(3, "\n"),
            with(3, "é"),
            format!("{}é", &good[..26]),
            "A".repeat(100_000),
        ];
        for text in texts {
            let error = text.parse::<SessionId>().expect_err(&text);
            assert_eq!(error.kind(), ErrorKind::InvalidId);
            assert!(text.len() < 20 || !format!("{error} {error:?}").contains(&text));
        }
    }

    #[test]
    fn the_text_form_is_the_only_one() {
        for _ in 0..1_000 {
            let id = SessionId::generate();
            assert_eq!(id.expose().parse::<SessionId>().expect("its own text"), id);
        }
    }
}
