//! The SQLite backend. All of its SQL is in `statements`.

mod builder;
mod checkpoint;
mod connections;
mod core;
mod delete;
mod errors;
mod fields;
mod maintenance;
mod owner_index;
mod packed;
#[cfg(test)]
mod plans;
mod purge;
mod registry;
mod rename;
mod row;
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
