#![doc = include_str!("../README.md")]

mod backend;
mod builder;
mod change;
mod connection;
mod core;
mod delete;
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
pub use session_backend::BatchSettings;
#[cfg(feature = "cache")]
pub use session_layers::{CacheExt, CacheSettings, CacheStats, Cached};
pub use store::MongoStore;
