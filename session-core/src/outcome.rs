use crate::Record;

/// The outcome of a [`write`](crate::SessionStore::write).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a write that met a conflict has changed nothing"]
pub enum WriteOutcome {
    /// The record now has the content and the version of the write.
    Written,
    /// The condition did not hold, and nothing was changed.
    ///
    /// Carries one whole record (data, version, owner and remaining ttl) that was live after the
    /// condition had failed, so that the caller can merge and retry without a read. `None` if no
    /// record was live.
    Conflict(Option<Record>),
}

impl WriteOutcome {
    /// Returns true if the write took effect.
    pub fn is_written(&self) -> bool {
        matches!(self, Self::Written)
    }
}

/// The outcome of a [`delete`](crate::SessionStore::delete).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a delete that met a conflict has changed nothing"]
pub enum DeleteOutcome {
    /// This call ended a live record, or removed foreign bytes (promise 15).
    Deleted,
    /// No live record was there. After a lost reply and a retry inside the store, this very call
    /// may have ended the record.
    Absent,
    /// The live record has another version than expected. It is untouched.
    Conflict,
}

/// The outcome of a [`rename`](crate::SessionStore::rename).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a rename that met a conflict has changed nothing"]
pub enum RenameOutcome {
    /// The old key is gone and the new one has the new content, by this call or by an earlier one
    /// with the same write.
    Renamed,
    /// The old record was gone (`None`), or had another version.
    ///
    /// In the second case, carries the record that was live under the old key after the mismatch
    /// was found, as whole as in a [conflict of a write](WriteOutcome::Conflict). Nothing of this
    /// write is under the new key.
    Conflict(Option<Record>),
    /// A live record is already under the new key. Nothing was changed. Does not happen with ids
    /// that are drawn at random.
    Occupied,
}
