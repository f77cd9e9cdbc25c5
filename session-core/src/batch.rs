use crate::{Expected, SessionKey, Ttl, When, Write};

/// One [write](crate::SessionStore::write) of a batch.
#[derive(Clone, Debug)]
pub struct WriteItem {
    /// The record's key.
    pub key: SessionKey,
    /// The content to write.
    pub write: Write,
    /// The condition of the write.
    pub when: When,
}

/// One [touch](crate::SessionStore::touch) of a batch.
#[derive(Clone, Copy, Debug)]
pub struct TouchItem {
    /// The record's key.
    pub key: SessionKey,
    /// The new ttl, counted from when the touch takes effect.
    pub ttl: Ttl,
}

/// One [delete](crate::SessionStore::delete) of a batch.
#[derive(Clone, Copy, Debug)]
pub struct DeleteItem {
    /// The record's key.
    pub key: SessionKey,
    /// Which record to delete.
    pub expected: Expected,
}
