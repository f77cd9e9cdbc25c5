#![doc = include_str!("../README.md")]

mod builder;
mod change;
mod connection;
mod core;
mod delete;
mod direct;
mod document;
mod errors;
mod expressions;
mod indexes;
mod maintenance;
mod numbered;
mod opening;
mod owner_index;
mod read;
mod server;
mod settings;
mod store;
mod tls;
mod touch;
mod update;
mod url;
mod watching;
mod write;

pub use builder::MongoStoreBuilder;
pub use session_backend::{Credentials, CredentialsProvider, Pem, TlsMode};
pub use session_batch::BatchSettings;
#[cfg(feature = "cache")]
pub use session_memory::{CacheExt, CacheSettings, CacheStats, Cached};
pub use store::MongoStore;
