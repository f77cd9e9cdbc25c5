//! The measured operations.

/// One kind of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Look a session up and clone it.
    Read,
    /// Replace a session that has the expected version. Nothing is freed meanwhile, because other
    /// handles hold all data, old and new. The map returns what it replaces, and the store drops
    /// it. The store draws the version.
    Write,
    /// Like `Write`, but the store's versions were also drawn before.
    WriteDrawn,
    /// Like `Write`, but the map also drops what it replaces.
    WriteAndLetGo,
    /// Replace a session that has the expected version, and free the old data, in both. The store
    /// draws the version.
    WriteAndFree,
    /// Set the expiry.
    Touch,
    /// Create a session and delete one created earlier.
    FaultWorkload,
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
        Self::FaultWorkload,
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
            Self::FaultWorkload => "create + delete",
            Self::Rename => "rename",
            Self::ReadMany => "read_many, each of 64",
            Self::WriteMany => "write_many, each of 64",
        }
    }

    /// The maximum ratio of the store's time to the map's time.
    pub(crate) fn bar(self) -> Option<f64> {
        match self {
            Self::Read => Some(3.0),
            Self::Write | Self::WriteAndLetGo | Self::WriteAndFree => Some(4.0),
            _ => None,
        }
    }

    /// Whether its sessions are new and hit once each, so that no key is more popular than others.
    pub(crate) fn is_of_new_sessions(self) -> bool {
        matches!(self, Self::FaultWorkload | Self::Rename)
    }

    /// Whether an operation needs the version that the previous one wrote, so that each thread
    /// needs its own sessions.
    pub(crate) fn needs_versions(self) -> bool {
        matches!(
            self,
            Self::Write | Self::WriteDrawn | Self::WriteAndLetGo | Self::WriteAndFree | Self::WriteMany
        )
    }
}
