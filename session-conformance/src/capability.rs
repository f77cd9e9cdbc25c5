use std::fmt;

/// A capability that some cases need and that not every target has.
///
/// Owners, maintenance, purge and watch are expected of every store. A target that lacks one
/// declares that with [`Target::without`](crate::Target::without). The others are hooks that the
/// target supplies. In both cases, what cannot be shown is printed as not proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// A second handle on the same records: [`Target::second_handle`](crate::Target::second_handle).
    SecondHandle,
    /// Planting foreign bytes: [`Target::foreign_bytes`](crate::Target::foreign_bytes).
    ForeignBytes,
    /// A server that stops answering without closing its connections: [`Fault::Freeze`](crate::Fault::Freeze).
    Freeze,
    /// A server that dies: [`Fault::Kill`](crate::Fault::Kill).
    Kill,
    /// A network that loses the replies: [`Fault::LoseReplies`](crate::Fault::LoseReplies).
    LoseReplies,
    /// A network that resets connections in place of replies: [`Fault::Cut`](crate::Fault::Cut).
    Cut,
    /// [`SessionStore::owners`](session_core::SessionStore::owners).
    Owners,
    /// [`SessionStore::maintenance`](session_core::SessionStore::maintenance).
    Maintenance,
    /// A [`purge_expired`](session_core::Maintenance::purge_expired) that frees expired records and
    /// returns how many. A store whose engine frees them by itself lacks it.
    Purge,
    /// [`SessionStore::watch`](session_core::SessionStore::watch).
    Watch,
    /// A store that frees expired records by itself:
    /// [`Target::self_purging`](crate::Target::self_purging).
    SelfPurge,
}

impl Capability {
    /// The reason for not running cases that need this, if the target gave no reason of its own.
    pub(crate) const fn missing(self) -> &'static str {
        match self {
            Self::SecondHandle => "no second_handle hook",
            Self::ForeignBytes => "no foreign_bytes hook",
            Self::Freeze => "no freeze hook",
            Self::Kill => "no kill hook",
            Self::LoseReplies => "no lose-replies hook",
            Self::Cut => "no cut hook",
            Self::Owners => "no owner index",
            Self::Maintenance => "no maintenance",
            Self::Purge => "no purge that tells what it frees",
            Self::Watch => "no watch",
            Self::SelfPurge => "no self_purging hook",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.missing().trim_start_matches("no "))
    }
}
