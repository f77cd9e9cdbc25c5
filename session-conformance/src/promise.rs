use std::fmt;

/// A promise of [`SessionStore`](session_core::SessionStore#contract), with its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is explained where it is promised")]
pub enum Promise {
    ConditionalWrite = 1,
    DeletedStaysDeleted,
    ReadYourWrites,
    Expiry,
    Touch,
    Rename,
    Bytes,
    OwnerIndex,
    Batches,
    Isolation,
    Cancellation,
    Outage,
    UnknownOutcome,
    Watch,
    ForeignBytes,
    Maintenance,
    Close,
}

impl Promise {
    /// The number in the contract.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The title in the contract.
    pub const fn title(self) -> &'static str {
        match self {
            Self::ConditionalWrite => "conditional write",
            Self::DeletedStaysDeleted => "deleted stays deleted",
            Self::ReadYourWrites => "read your writes",
            Self::Expiry => "expiry",
            Self::Touch => "touch",
            Self::Rename => "rename",
            Self::Bytes => "bytes",
            Self::OwnerIndex => "owner index",
            Self::Batches => "batches",
            Self::Isolation => "isolation",
            Self::Cancellation => "cancellation",
            Self::Outage => "outage",
            Self::UnknownOutcome => "unknown outcome",
            Self::Watch => "watch",
            Self::ForeignBytes => "foreign bytes",
            Self::Maintenance => "maintenance",
            Self::Close => "close",
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number(), self.title())
    }
}
