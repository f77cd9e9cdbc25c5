//! The operations of both the map and the store.

use session_core::{Bytes, SessionKey, Version, Write, WriteItem};

/// Sessions by key. Every operation must succeed, and returns whether it did.
pub(crate) trait Sessions: Sync {
    /// Whether a write draws its version as part of it.
    const DRAWS_VERSIONS: bool;

    /// The data and the version of an existing session.
    fn get(&self, key: &SessionKey) -> (Bytes, Version);

    fn read(&self, key: &SessionKey) -> bool;

    /// Replaces the data if the session has the expected version. Takes the data out of `write`,
    /// and may leave the replaced data there.
    fn write(&self, key: &SessionKey, write: &mut Write, expected: Version) -> bool;

    fn touch(&self, key: &SessionKey) -> bool;

    fn create(&self, key: &SessionKey, write: Write) -> bool;

    fn delete(&self, key: &SessionKey) -> bool;

    fn rename(&self, old: &SessionKey, new: &SessionKey, write: Write, expected: Version) -> bool;

    fn read_many(&self, keys: &[SessionKey]) -> bool;

    fn write_many(&self, items: &[WriteItem]) -> bool;
}
