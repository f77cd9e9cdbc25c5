//! What is asked of both, the map and the store.

use session_core::{SessionKey, Version, Write, WriteItem};

/// Sessions by key. Every operation must succeed, and says whether it did.
pub(crate) trait Sessions: Sync {
    /// Whether a write draws its version as part of it.
    const DRAWS_VERSIONS: bool;

    /// The version of a session that is there.
    fn version(&self, key: &SessionKey) -> Version;

    fn read(&self, key: &SessionKey) -> bool;

    /// Replaces the data if the session has the expected version. May leave the replaced data in `write`, which
    /// gives the new data away in any case.
    fn write(&self, key: &SessionKey, write: &mut Write, expected: Version) -> bool;

    fn touch(&self, key: &SessionKey) -> bool;

    fn create(&self, key: &SessionKey, write: Write) -> bool;

    fn delete(&self, key: &SessionKey) -> bool;

    fn rename(&self, old: &SessionKey, new: &SessionKey, write: Write, expected: Version) -> bool;

    fn read_many(&self, keys: &[SessionKey]) -> bool;

    fn write_many(&self, items: &[WriteItem]) -> bool;
}
