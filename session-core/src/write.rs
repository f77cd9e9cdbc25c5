use std::fmt;

use bytes::Bytes;

use crate::{Owner, Ttl, Version};

/// The content of one write: the new state of the record if the write's condition holds.
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
    /// The data to store. A store may keep this very buffer, so a small view of a large buffer
    /// keeps the large one alive.
    ///
    /// Do not change the data of an existing write: create a new one with [`Write::new`]. Otherwise
    /// a store can mistake it for a redelivery of this one.
    pub data: Bytes,
    /// The token of this write. A clone of a `Write` is the same write, not another one.
    pub version: Version,
    /// How long the record lives, counted from the moment the write takes effect.
    pub ttl: Ttl,
    /// The change of the owner.
    pub owner: OwnerChange,
}

impl Write {
    /// A write of this data under a new [`Version`], which keeps the owner.
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
    /// Shows the length of the data, and neither the data nor the owner: see
    /// [`Record`](crate::Record).
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
    /// Keeps the owner. A record that is new, or that replaces an expired one, has none.
    #[default]
    Keep,
    /// Sets the owner to this one.
    Set(Owner),
    /// Removes the owner.
    Clear,
}

impl OwnerChange {
    /// Returns the owner after this change, for a record whose owner was `current`.
    pub fn apply(self, current: Option<Owner>) -> Option<Owner> {
        match self {
            Self::Keep => current,
            Self::Set(owner) => Some(owner),
            Self::Clear => None,
        }
    }
}
