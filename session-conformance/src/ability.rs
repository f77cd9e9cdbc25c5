use std::fmt;

/// Something that some cases need and not every target has.
///
/// Owners, maintenance, purge and watch are expected of every store: a target that lacks one says so with
/// [`Target::without`](crate::Target::without). The others are hooks that the target supplies. Either way, what cannot be
/// shown is printed as not proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ability {
    /// A second handle on the same records: [`Target::second_handle`](crate::Target::second_handle).
    SecondHandle,
    /// Planting bytes that are no record: [`Target::foreign_bytes`](crate::Target::foreign_bytes).
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
    /// A [`purge_expired`](session_core::Maintenance::purge_expired) that frees what has expired and tells of how many. A store whose engine does
    /// that by itself lacks it.
    Purge,
    /// [`SessionStore::watch`](session_core::SessionStore::watch).
    Watch,
    /// A store that frees what has expired by itself: [`Target::self_purging`](crate::Target::self_purging).
    SelfPurge,
}

impl Ability {
    /// Why cases that need this are not run when the target gave no reason of its own.
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

impl fmt::Display for Ability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.missing().trim_start_matches("no "))
    }
}
