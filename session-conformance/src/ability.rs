use std::fmt;

/// Something that some cases need and not every target has.
///
/// The last three are expected of every store: a target that lacks one says so with
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
    /// [`SessionStore::owners`](session_core::SessionStore::owners).
    Owners,
    /// [`SessionStore::maintenance`](session_core::SessionStore::maintenance).
    Maintenance,
    /// [`SessionStore::watch`](session_core::SessionStore::watch).
    Watch,
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
            Self::Owners => "no owner index",
            Self::Maintenance => "no maintenance",
            Self::Watch => "no watch",
        }
    }
}

impl fmt::Display for Ability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.missing().trim_start_matches("no "))
    }
}
