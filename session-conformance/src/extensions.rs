//! The optional parts of a store, for cases that require them.

use session_core::{Maintenance, OwnerIndex, SessionStore, Watch};

use crate::failure::{Checked, Failure};

pub(crate) fn owners(store: &dyn SessionStore) -> Checked<&dyn OwnerIndex> {
    store.owners().ok_or_else(|| Failure::new("owners() is None, which the target did not declare"))
}

pub(crate) fn maintenance(store: &dyn SessionStore) -> Checked<&dyn Maintenance> {
    store.maintenance().ok_or_else(|| Failure::new("maintenance() is None, which the target did not declare"))
}

pub(crate) fn watch(store: &dyn SessionStore) -> Checked<&dyn Watch> {
    store.watch().ok_or_else(|| Failure::new("watch() is None, which the target did not declare"))
}
