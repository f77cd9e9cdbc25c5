use std::fmt;

/// The operation in which an [`Error`](crate::Error) arose, and the label under which metrics count
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Opening the store: settings, connections, schema.
    Connect,
    /// Creating or parsing an id, a ttl or an owner, before any store is involved.
    Validate,
    /// [`SessionStore::read`](crate::SessionStore::read) and `read_many`.
    Read,
    /// [`SessionStore::write`](crate::SessionStore::write) and `write_many`.
    Write,
    /// [`SessionStore::touch`](crate::SessionStore::touch) and `touch_many`.
    Touch,
    /// [`SessionStore::delete`](crate::SessionStore::delete) and `delete_many`.
    Delete,
    /// [`SessionStore::rename`](crate::SessionStore::rename).
    Rename,
    /// [`OwnerIndex::list`](crate::OwnerIndex::list).
    ListOwner,
    /// [`OwnerIndex::count`](crate::OwnerIndex::count).
    CountOwner,
    /// [`OwnerIndex::delete_all`](crate::OwnerIndex::delete_all).
    DeleteOwner,
    /// [`Maintenance::page`](crate::Maintenance::page).
    Page,
    /// [`Maintenance::count`](crate::Maintenance::count).
    Count,
    /// [`Maintenance::purge_expired`](crate::Maintenance::purge_expired).
    Purge,
    /// [`Watch::subscribe`](crate::Watch::subscribe).
    Watch,
    /// [`SessionStore::ping`](crate::SessionStore::ping).
    Ping,
    /// [`SessionStore::close`](crate::SessionStore::close).
    Close,
}

impl Operation {
    /// The name in lower case, as used in messages and as a metric label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Validate => "validate",
            Self::Read => "read",
            Self::Write => "write",
            Self::Touch => "touch",
            Self::Delete => "delete",
            Self::Rename => "rename",
            Self::ListOwner => "list_owner",
            Self::CountOwner => "count_owner",
            Self::DeleteOwner => "delete_owner",
            Self::Page => "page",
            Self::Count => "count",
            Self::Purge => "purge",
            Self::Watch => "watch",
            Self::Ping => "ping",
            Self::Close => "close",
        }
    }

    /// Returns true if the operation can change stored data.
    ///
    /// Only then can its failure leave open [whether it was
    /// applied](crate::Error::may_have_applied).
    pub const fn is_change(self) -> bool {
        matches!(
            self,
            Self::Write | Self::Touch | Self::Delete | Self::Rename | Self::DeleteOwner | Self::Purge
        )
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
