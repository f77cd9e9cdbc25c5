use crate::snapshot::Snapshot;

/// The outcome of a conditional write.
pub(crate) enum CommitOutcome {
    /// The write took effect.
    Written,
    /// The write took effect, and later writes have replaced it.
    CommittedThenReplaced(Box<Snapshot>),
    /// The write did not and will not take effect, because this is stored.
    Conflict(Box<Snapshot>),
    /// The write did not and will not take effect, because no session is stored; or it did, and the
    /// session has ended since.
    Ended,
}
