use crate::Version;

/// The condition of a [write](crate::SessionStore::write): what must be live under the key for the
/// write to take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum When {
    /// No live record: the write creates the record. An expired record counts as absent.
    Absent,
    /// A live record with this version: the write replaces the record that the writer has read.
    Version(Version),
    /// No condition: the write replaces whatever is there. For imports, and for data that needs no
    /// merge.
    Any,
}

impl When {
    /// Returns true if the condition holds for a live record with version `live`, or for none.
    pub fn holds(self, live: Option<Version>) -> bool {
        match self {
            Self::Absent => live.is_none(),
            Self::Version(expected) => live == Some(expected),
            Self::Any => true,
        }
    }
}

/// The condition of a [delete](crate::SessionStore::delete): which live record to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Expected {
    /// Any record, as for a logout.
    Any,
    /// Only the record with this version.
    Version(Version),
}

impl Expected {
    /// Returns true if a live record with `version` is to be deleted.
    pub fn matches(self, version: Version) -> bool {
        match self {
            Self::Any => true,
            Self::Version(expected) => expected == version,
        }
    }
}
