#![doc = include_str!("../README.md")]

#[cfg(not(any(feature = "sqlite", feature = "postgres", feature = "mysql")))]
compile_error!("session-sql needs at least one of the features `sqlite`, `postgres` and `mysql`");

mod chunk;
mod deadline;
#[cfg(any(feature = "sqlite", feature = "mysql"))]
mod events;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod server;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "sqlite", feature = "mysql"))]
mod statement_sizes;
mod table;

#[cfg(feature = "mysql")]
pub use mysql::{MySqlStore, MySqlStoreBuilder};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresStore, PostgresStoreBuilder, SynchronousCommit};
pub use session_backend::BatchSettings;
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub use session_backend::{Credentials, CredentialsProvider, Secret, TlsMode};
#[cfg(feature = "cache")]
pub use session_layers::{CacheExt, CacheSettings, CacheStats, Cached};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteStore, SqliteStoreBuilder, Synchronous};
