use crate::Record;

/// What came of a [`write`](crate::SessionStore::write).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a write that met a conflict has changed nothing"]
pub enum WriteOutcome {
    /// The record is now what the write says, with the write's version.
    Written,
    /// The condition did not hold and nothing was changed.
    ///
    /// With one whole record, data, version, owner and what was left of its ttl, that was live
    /// after the condition had failed, so that the caller can merge and try again without a read;
    /// or `None` if nothing live was there.
    Conflict(Option<Record>),
}

impl WriteOutcome {
    /// Whether the write took effect.
    pub fn is_written(&self) -> bool {
        matches!(self, Self::Written)
    }
}

/// What came of a [`delete`](crate::SessionStore::delete).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a delete that met a conflict has changed nothing"]
pub enum DeleteOutcome {
    /// This call ended a live record, or freed the key of foreign bytes (promise 15).
    Deleted,
    /// Nothing live was there. After a lost reply and a retry inside the store, it may have been this very call that
    /// ended the record.
    Absent,
    /// A live record was there, but not the expected version; it is untouched.
    Conflict,
}

/// What came of a [`rename`](crate::SessionStore::rename).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a rename that met a conflict has changed nothing"]
pub enum RenameOutcome {
    /// The old key is gone and the new one has the new content, by this call or an earlier one with the same write.
    Renamed,
    /// The old record was gone (`None`), or had another version: then with the record that was live
    /// under the old key after that was found, as whole as in a [conflict of a
    /// write](WriteOutcome::Conflict). Nothing of this write is under the new key.
    Conflict(Option<Record>),
    /// Something live is under the new key already, which nobody who draws ids at random will ever see.
    /// Nothing was changed.
    Occupied,
}
