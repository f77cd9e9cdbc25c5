#![doc = include_str!("../README.md")]

mod builder;
#[cfg(feature = "cache")]
mod cached;
mod clock;
mod events;
mod expiry_queue;
mod inner;
mod limits;
mod maintenance;
mod owner_index;
mod owner_keys;
mod purger;
mod room;
mod shard;
mod slot;
mod store;

pub use builder::{MemoryStoreBuilder, WhenFull};
#[cfg(feature = "cache")]
pub use cached::{CacheExt, CacheSettings, CacheStats, Cached, Evictions, Lag};
pub use store::MemoryStore;
