#![doc = include_str!("../README.md")]

mod across_shards;
mod address;
mod backend;
mod builder;
#[cfg(feature = "tls")]
mod certificates;
mod cluster;
mod connect;
mod connection;
mod connector;
mod core;
mod delete;
mod errors;
mod exchange;
mod foreign_options;
mod handshake;
mod link;
mod maintenance;
mod namespace;
mod no_connection;
mod node;
mod own_writes;
mod owner_index;
mod owners_seen;
mod pending;
mod read;
mod record;
mod rename;
mod request;
mod role;
mod scripts;
mod sentinels;
mod server_info;
mod settings;
mod slots;
mod store;
mod tls;
mod topology;
mod touch;
mod url;
mod watch;
mod write;

pub use builder::RedisStoreBuilder;
pub use session_backend::BatchSettings;
pub use session_backend::{Credentials, CredentialsProvider, Secret, TlsMode};
#[cfg(feature = "cache")]
pub use session_layers::{CacheExt, CacheSettings, CacheStats, Cached};
pub use store::RedisStore;
