//! What the backends of database servers share: everything but their SQL.

mod backend;
mod batches;
mod connections;
mod connector;
mod core;
mod dialect;
#[cfg(feature = "postgres")]
pub(crate) mod following;
pub(crate) mod foreign;
mod found;
mod jobs;
mod maintenance;
pub(crate) mod opening;
mod owner_index;
pub(crate) mod purge;
pub(crate) mod replica;
mod replica_state;
mod settings;
mod tls;

#[cfg(feature = "postgres")]
pub(crate) use self::core::Job;
#[cfg(feature = "mysql")]
pub(crate) use self::dialect::after_change;
pub(crate) use self::{
    backend::{SqlBackend, closed},
    connections::Connections,
    connector::{Connector, DriverOptions, Endpoint, refusal},
    core::Core,
    dialect::{Dialect, Meaning, OnlyReads, Purged, SqlResult, Written},
    found::{FORMAT, Found, RawRow, found_key},
    settings::{MAX_MAX_DATA_LEN, Settings, shared_setters},
    tls::Tls,
};
