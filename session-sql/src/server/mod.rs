//! What the backends of database servers share: everything but their SQL.

mod batches;
mod connections;
mod core;
mod dialect;
#[cfg(feature = "postgres")]
pub(crate) mod following;
mod found;
mod jobs;
mod maintenance;
pub(crate) mod opening;
mod owner_index;
pub(crate) mod purge;
pub(crate) mod replica;
mod replica_state;
mod settings;
mod store;

#[cfg(feature = "postgres")]
pub(crate) use self::core::Job;
pub(crate) use self::{
    connections::Connections,
    core::Core,
    dialect::{Dialect, Meaning, OnlyReads, Purged, SqlResult, Written, after_change},
    found::{FORMAT, Found, RawRow, found_key},
    settings::{Settings, shared_setters},
    store::{Direct, closed},
};
