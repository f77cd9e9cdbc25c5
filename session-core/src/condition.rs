use crate::Version;

/// The condition of a [write](crate::SessionStore::write): what must be live under the key for it to take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum When {
    /// Nothing live: the write creates the record. An expired record counts as nothing.
    Absent,
    /// A live record with this version: the write replaces what its author has seen.
    Version(Version),
    /// Anything or nothing: the write replaces blindly. For imports and for data that nobody merges.
    Any,
}

impl When {
    /// Whether the condition holds where the live record, if any, has version `live`.
    pub fn holds(self, live: Option<Version>) -> bool {
        match self {
            Self::Absent => live.is_none(),
            Self::Version(expected) => live == Some(expected),
            Self::Any => true,
        }
    }
}

/// The condition of a [delete](crate::SessionStore::delete): which live record is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Expected {
    /// Whatever is there: a logout.
    Any,
    /// Only the record with this version.
    Version(Version),
}

impl Expected {
    /// Whether a live record with `version` is the one that is meant.
    pub fn matches(self, version: Version) -> bool {
        match self {
            Self::Any => true,
            Self::Version(expected) => expected == version,
        }
    }
}
