#![doc = include_str!("../README.md")]

mod builder;
mod clock;
mod events;
mod eviction;
mod expiry_queue;
mod inner;
mod limits;
mod maintenance;
mod owner_index;
mod owner_keys;
mod purger;
mod shard;
mod store;
mod stored_record;

pub use builder::{MemoryStoreBuilder, WhenFull};
#[cfg(feature = "cache")]
#[doc(no_inline)]
pub use session_layers::{CacheExt, CacheSettings, CacheStats, Cached, Evictions, Lag};
pub use store::MemoryStore;
