use std::fmt;

use session_core::{Error, ErrorKind, Operation, Result};

/// The name of the table that holds the sessions: the namespace of a store.
///
/// It consists of lower-case letters, digits and underscores, so that no engine folds, quotes or
/// misreads it, and so that different names are different tables.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Table(String);

impl Table {
    /// Leaves room for the names of the indexes in every engine.
    const MAX_LEN: usize = 48;

    /// The table that records the schema version of each sessions table.
    pub(crate) const SCHEMA: &'static str = "session_store_schema";

    pub(crate) fn new(name: &str) -> Result<Self> {
        let invalid = |reason: String| {
            Err(Error::new(ErrorKind::Config, Operation::Connect)
                .because(format!("the name of a table or schema {reason}")))
        };
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !name.bytes().all(plain) || !name.starts_with(|first: char| first.is_ascii_lowercase()) {
            return invalid("must be a small letter, then small letters, digits and underscores".to_owned());
        }
        if name.len() > Self::MAX_LEN {
            return invalid(format!("has {} letters, and {} are the most", name.len(), Self::MAX_LEN));
        }
        if name == Self::SCHEMA || name.starts_with("sqlite_") || name.starts_with("pg_") {
            return invalid("is reserved".to_owned());
        }
        Ok(Self(name.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Table {
    fn default() -> Self {
        Self("sessions".to_owned())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_misread_is_refused() {
        let long = "x".repeat(49);
        for (name, said) in [
            ("", "small letter"),
            ("Sessions", "small letter"),
            ("1st", "small letter"),
            ("_a", "small letter"),
            ("a b", "small letter"),
            ("a\"; DROP TABLE users; --", "small letter"),
            ("sitzungén", "small letter"),
            ("session_store_schema", "reserved"),
            ("sqlite_stat1", "reserved"),
            (long.as_str(), "49 letters"),
        ] {
            let error = Table::new(name).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(said), "{error}");
        }
        assert_eq!(Table::new("app_2_sessions").expect("a good name").as_str(), "app_2_sessions");
    }
}
