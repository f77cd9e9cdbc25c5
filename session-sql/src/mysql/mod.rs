//! The `MySQL` and `MariaDB` backend. All of its SQL is in `statements` and `schema`.

mod builder;
mod dialect;
mod errors;
mod options;
mod parameters;
mod registry;
mod schema;
mod statements;
mod store;
mod url;

pub use builder::MySqlStoreBuilder;
pub use store::MySqlStore;
