//! The `PostgreSQL` backend. All of its SQL is in `statements` and `schema`.

mod builder;
mod dialect;
mod errors;
mod options;
mod schema;
mod session;
mod statements;
mod store;
mod target;
mod url;
mod watch;

pub use builder::{PostgresStoreBuilder, SynchronousCommit};
pub use store::PostgresStore;
