//! What is measured.

/// One kind of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Look a session up and clone it.
    Read,
    /// Replace a session that has the expected version. Nothing is freed meanwhile, because somebody else holds all
    /// data, old and new; the map gives away what it replaces, and the store lets go of it. The store draws the version.
    Write,
    /// The same, but the store's versions were drawn before, too.
    WriteDrawn,
    /// The same as the first, but the map lets go of what it replaces, too.
    WriteAndLetGo,
    /// Replace a session that has the expected version; both free what is replaced. The store draws the version.
    WriteAndFree,
    /// Move the expiry.
    Touch,
    /// Create a session and delete one created earlier.
    Churn,
    /// Move a session to another key of its shard, with new data.
    Rename,
    /// Look up 64 sessions in one call.
    ReadMany,
    /// Replace 64 sessions in one call, with versions drawn before.
    WriteMany,
}

impl Kind {
    pub(crate) const ALL: [Self; 10] = [
        Self::Read,
        Self::Write,
        Self::WriteDrawn,
        Self::WriteAndLetGo,
        Self::WriteAndFree,
        Self::Touch,
        Self::Churn,
        Self::Rename,
        Self::ReadMany,
        Self::WriteMany,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "conditional write",
            Self::WriteDrawn => "conditional write, version drawn before",
            Self::WriteAndLetGo => "conditional write, map lets go too",
            Self::WriteAndFree => "conditional write, both free",
            Self::Touch => "touch",
            Self::Churn => "create + delete",
            Self::Rename => "rename",
            Self::ReadMany => "read_many, each of 64",
            Self::WriteMany => "write_many, each of 64",
        }
    }

    /// How many times the map's time the store may take at most.
    pub(crate) fn bar(self) -> Option<f64> {
        match self {
            Self::Read => Some(3.0),
            Self::Write | Self::WriteAndLetGo | Self::WriteAndFree => Some(4.0),
            _ => None,
        }
    }

    /// Whether its sessions are new ones, hit once each, so that no keys are more popular than others.
    pub(crate) fn is_of_new_sessions(self) -> bool {
        matches!(self, Self::Churn | Self::Rename)
    }

    /// Whether an operation must know what the one before it has written, so that each thread needs sessions of its
    /// own.
    pub(crate) fn needs_versions(self) -> bool {
        matches!(
            self,
            Self::Write | Self::WriteDrawn | Self::WriteAndLetGo | Self::WriteAndFree | Self::WriteMany
        )
    }
}
