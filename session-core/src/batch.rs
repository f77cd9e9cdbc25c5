use crate::{Expected, SessionKey, Ttl, When, Write};

/// One [write](crate::SessionStore::write) of a batch.
#[derive(Clone, Debug)]
pub struct WriteItem {
    /// The record's key.
    pub key: SessionKey,
    /// What the record becomes.
    pub write: Write,
    /// The condition.
    pub when: When,
}

/// One [touch](crate::SessionStore::touch) of a batch.
#[derive(Clone, Copy, Debug)]
pub struct TouchItem {
    /// The record's key.
    pub key: SessionKey,
    /// How long it lives from now on.
    pub ttl: Ttl,
}

/// One [delete](crate::SessionStore::delete) of a batch.
#[derive(Clone, Copy, Debug)]
pub struct DeleteItem {
    /// The record's key.
    pub key: SessionKey,
    /// Which record is meant.
    pub expected: Expected,
}
