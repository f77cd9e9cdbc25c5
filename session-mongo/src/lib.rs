#![doc = include_str!("../README.md")]

mod backend;
mod builder;
mod change;
mod connect;
mod connection;
mod core;
mod delete;
mod errors;
mod expressions;
mod indexes;
mod maintenance;
mod owner_index;
mod read;
mod record;
mod retryable_writes;
mod server;
mod settings;
mod store;
mod tls;
mod touch;
mod update;
mod url;
mod watch;
mod write;

pub use builder::MongoStoreBuilder;
pub use session_backend::BatchSettings;
pub use session_backend::{Credentials, CredentialsProvider, Pem, TlsMode};
#[cfg(feature = "cache")]
pub use session_layers::{CacheExt, CacheSettings, CacheStats, Cached};
pub use store::MongoStore;
