use std::fmt;

use bytes::Bytes;

use crate::{Owner, Ttl, Version};

/// The content of one write: what a record becomes if the write's condition holds.
///
/// ```
/// use std::time::Duration;
/// use session_core::{Owner, OwnerChange, Ttl, Write};
///
/// let ttl = Ttl::new(Duration::from_secs(1800))?;
/// let login = Write::new("cart and name", ttl).owner(OwnerChange::Set(Owner::new("user:4711")?));
/// let next_condition = login.version;
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Write {
    /// The bytes to keep. A store may keep this very buffer, so a small view of a large one keeps the large one alive.
    ///
    /// Other bytes are another write: make a new one with [`Write::new`], or it can be taken for this one delivered again.
    pub data: Bytes,
    /// The token of this write. A clone of a `Write` is the same write again, not another one.
    pub version: Version,
    /// How long the record lives, counted from the moment the write takes effect.
    pub ttl: Ttl,
    /// What happens to the owner.
    pub owner: OwnerChange,
}

impl Write {
    /// A write of these bytes under a new [`Version`], which keeps the owner.
    pub fn new(data: impl Into<Bytes>, ttl: Ttl) -> Self {
        Self { data: data.into(), version: Version::random(), ttl, owner: OwnerChange::Keep }
    }

    /// The same write with this change of the owner.
    #[must_use]
    pub fn owner(mut self, owner: OwnerChange) -> Self {
        self.owner = owner;
        self
    }
}

impl fmt::Debug for Write {
    /// Says how long the data is, and shows neither data nor owner: see [`Record`](crate::Record).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write")
            .field("data", &format_args!("{} bytes", self.data.len()))
            .field("version", &self.version)
            .field("ttl", &self.ttl)
            .field("owner", &self.owner)
            .finish()
    }
}

/// What a write does to the owner of the record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OwnerChange {
    /// The owner stays who it is. A record that is new, or that replaces an expired one, has none.
    #[default]
    Keep,
    /// The record belongs to this owner from now on, and to no other.
    Set(Owner),
    /// The record belongs to nobody from now on.
    Clear,
}

impl OwnerChange {
    /// The owner after this change, of a record that had `current` before.
    pub fn apply(self, current: Option<Owner>) -> Option<Owner> {
        match self {
            Self::Keep => current,
            Self::Set(owner) => Some(owner),
            Self::Clear => None,
        }
    }
}
