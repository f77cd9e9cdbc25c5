//! What the backends of database servers share: everything but their SQL.

mod backend;
mod batches;
pub(crate) mod connect;
mod connections;
mod connector;
mod core;
mod dialect;
pub(crate) mod foreign;
mod jobs;
mod maintenance;
mod owner_index;
pub(crate) mod purge;
mod record;
pub(crate) mod replica;
#[cfg(feature = "postgres")]
pub(crate) mod replica_lag;
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
    record::{FORMAT, Found, RawRow, found_key},
    settings::{MAX_MAX_DATA_LEN, Settings, shared_setters},
    tls::Tls,
};
