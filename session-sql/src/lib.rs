#![doc = include_str!("../README.md")]

mod chunk;
mod deadline;
mod events;
#[cfg(feature = "postgres")]
mod postgres;
mod query;
#[cfg(feature = "postgres")]
mod server;
#[cfg(feature = "sqlite")]
mod sqlite;
mod table;

#[cfg(feature = "postgres")]
pub use postgres::{PostgresStore, PostgresStoreBuilder, SynchronousCommit};
pub use session_batch::BatchSettings;
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteStore, SqliteStoreBuilder, Synchronous};
