#![doc = include_str!("../README.md")]

#[cfg(feature = "sqlite")]
mod chunk;
#[cfg(feature = "sqlite")]
mod deadline;
#[cfg(feature = "sqlite")]
mod events;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "sqlite")]
mod table;

#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteStore, SqliteStoreBuilder, Synchronous};
