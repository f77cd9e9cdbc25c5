//! What the backends of database servers share: everything but their SQL.

mod batches;
mod connections;
mod core;
mod dialect;
mod found;
mod jobs;
mod maintenance;
mod owner_index;
pub(crate) mod purge;
pub(crate) mod replica;
mod settings;
mod store;

pub(crate) use self::{
    connections::Connections,
    core::{Core, Job},
    dialect::{Dialect, Meaning, Purged, SqlResult, Written},
    found::{FORMAT, Found, RawRow, found_key},
    settings::Settings,
    store::{Direct, closed, front},
};
