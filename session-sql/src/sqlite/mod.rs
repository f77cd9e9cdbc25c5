//! The SQLite backend. All of its SQL is in `statements`.

mod backend;
mod binds;
mod builder;
mod checkpoint;
mod connections;
mod core;
mod delete;
mod errors;
mod maintenance;
mod owner_index;
mod packed_rows;
#[cfg(test)]
mod plans;
mod purge;
mod record;
mod registry;
mod rename;
mod schema;
mod settings;
mod statements;
mod store;
mod touch;
mod url;
mod write;

pub use builder::SqliteStoreBuilder;
pub use settings::Synchronous;
pub use store::SqliteStore;
