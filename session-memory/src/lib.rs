#![doc = include_str!("../README.md")]

mod builder;
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
pub use store::MemoryStore;
#[cfg(feature = "cache")]
#[doc(no_inline)]
pub use session_layers::{CacheExt, CacheSettings, CacheStats, Cached, Evictions, Lag};
