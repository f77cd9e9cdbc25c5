use std::fmt;

/// The name of the place where one case keeps its records: a key prefix, a table name, a collection
/// name.
///
/// It is a lower-case letter followed by 15 lower-case letters and digits, drawn at random, so
/// cases in any number of processes can share a server. One case appends suffixes such as `_o` and
/// `:o`, which a target may refuse as unavailable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Namespace(String);

impl Namespace {
    pub(crate) fn random() -> Self {
        Self(format!("t{:015x}", rand::random::<u64>() >> 4))
    }

    /// A namespace whose name begins with this one.
    pub(crate) fn and(&self, more: &str) -> Self {
        Self(format!("{}{more}", self.0))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
