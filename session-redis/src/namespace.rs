use std::fmt;

use data_encoding::HEXLOWER;
use session_core::{Owner, Result, SessionKey};

use crate::errors::config;

/// The prefix of a store's keys, and the layout of the keys.
///
/// A session is `<namespace>:s:{<shard>}<digest>`, in hexadecimal digits. The braces make Redis
/// Cluster put all keys of a shard into one slot. An owner index is `<namespace>:@<owner>`. In
/// Cluster, there is one for each shard, `<namespace>:@{<shard>}<owner>`.
///
/// No two namespaces share a key, even if one is a prefix of the other. No namespace contains `{`
/// or `@`, so the first of these characters in a key ends the part that the namespace determines,
/// and tells a session from an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Namespace {
    name: String,
    /// The prefix of the keys of sessions.
    pub(crate) sessions: String,
    owners: String,
}

impl Namespace {
    const MAX_LEN: usize = 64;

    pub(crate) fn new(name: &str) -> Result<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte);
        if name.is_empty() || name.len() > Self::MAX_LEN || !name.bytes().all(plain) {
            return Err(config(format!(
                "the namespace must be 1 to {} letters, digits, or any of `_-.:/`",
                Self::MAX_LEN
            )));
        }
        Ok(Self { name: name.to_owned(), sessions: format!("{name}:s:"), owners: format!("{name}:@") })
    }

    /// The key of a session.
    pub(crate) fn session(&self, key: &SessionKey) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.sessions.len() + Self::MEMBER_LEN);
        text.extend_from_slice(self.sessions.as_bytes());
        push_member(&mut text, key);
        text
    }

    /// The length of a session's key without the prefix.
    pub(crate) const MEMBER_LEN: usize = 2 * SessionKey::LEN + 2;

    /// The member of a session in an index: its key without the prefix.
    pub(crate) fn member(key: &SessionKey) -> Vec<u8> {
        let mut text = Vec::with_capacity(Self::MEMBER_LEN);
        push_member(&mut text, key);
        text
    }

    /// The prefix of the keys of owner indexes; in Cluster, of those in one shard.
    pub(crate) fn owners(&self, shard: Option<u8>) -> String {
        match shard {
            None => self.owners.clone(),
            Some(shard) => format!("{}{{{shard:02x}}}", self.owners),
        }
    }

    /// The key of an owner's index; in Cluster, of its index in one shard.
    pub(crate) fn owner(&self, shard: Option<u8>, owner: &Owner) -> String {
        self.owners(shard) + owner.as_str()
    }

    /// The key of an index's fence, which exists while all sessions of the index are being ended.
    pub(crate) fn fence(index: &[u8]) -> Vec<u8> {
        [index, b"\0"].concat()
    }

    /// The session of this key, if it is the key of a session in this namespace.
    pub(crate) fn parse_session(&self, key: &[u8]) -> Option<SessionKey> {
        parse_member(key.strip_prefix(self.sessions.as_bytes())?)
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

fn push_member(text: &mut Vec<u8>, key: &SessionKey) {
    let mut digits = [0; 2 * SessionKey::LEN];
    HEXLOWER.encode_mut(key.as_bytes(), &mut digits);
    let (shard, digest) = digits.split_at(2);
    text.push(b'{');
    text.extend_from_slice(shard);
    text.push(b'}');
    text.extend_from_slice(digest);
}

/// The session of an index member.
pub(crate) fn parse_member(member: &[u8]) -> Option<SessionKey> {
    let (&[b'{', high, low, b'}'], digest) = member.split_first_chunk()? else { return None };
    let mut digits = [0; 2 * SessionKey::LEN];
    if digest.len() != digits.len() - 2 {
        return None;
    }
    digits[..2].copy_from_slice(&[high, low]);
    digits[2..].copy_from_slice(digest);
    let mut bytes = [0; SessionKey::LEN];
    HEXLOWER.decode_mut(&digits, &mut bytes).ok()?;
    Some(SessionKey::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use session_core::SessionId;

    use super::*;

    #[test]
    fn keys_come_back() {
        let namespace = Namespace::new("app:1").expect("a good name");
        let key = SessionId::generate().key();
        assert_eq!(namespace.parse_session(&namespace.session(&key)), Some(key));
        assert_eq!(parse_member(&Namespace::member(&key)), Some(key));
        for foreign in ["", "app:1:s:", "app:1:@x", "app:1:s:s:{00}", "app:1:s:{00}", "app:1:s:{0", "other"] {
            assert_eq!(namespace.parse_session(foreign.as_bytes()), None, "{foreign}");
        }
    }

    /// For any name of an owner.
    #[test]
    fn namespaces_have_no_key_in_common() {
        let digits = Namespace::member(&SessionId::generate().key());
        let member = String::from_utf8(digits).expect("digits");
        let names = ["a", "a:o", "a:s", "a:o:s", "a:s:o", "a:", "a:o:", "a::o", "b"];
        let mut owners =
            vec!["alice".to_owned(), "{00}alice".to_owned(), "@alice".to_owned(), member.clone()];
        for before in ["o:", ":o:", "s:", ":s:", "@", ":@", "o:@", ":o:@"] {
            owners.extend([
                format!("{before}alice"),
                format!("{before}{member}"),
                format!("{before}{{00}}alice"),
            ]);
        }
        owners.sort();
        owners.dedup();
        let mut keys = std::collections::HashMap::new();
        for name in names {
            let namespace = Namespace::new(name).expect("a good name");
            let session = parse_member(member.as_bytes()).expect("a key");
            let mut all = vec![(
                String::from_utf8(namespace.session(&session)).expect("a key"),
                "a session".to_owned(),
            )];
            for owner in &owners {
                let owner = Owner::new(owner.as_str()).expect("an owner");
                all.push((namespace.owner(None, &owner), owner.to_string()));
            }
            for (key, of) in all {
                if let Some(other) = keys.insert(key.clone(), (name, of.clone())) {
                    panic!("{key} is of {other:?}, and of {:?}", (name, of));
                }
            }
        }
    }

    #[test]
    fn what_could_be_misread_is_refused() {
        let long = "x".repeat(65);
        for name in ["", "a{b", "a}b", "a*", "a b", "ä", "a?", "[a]", &long] {
            Namespace::new(name).expect_err(name);
        }
    }
}
