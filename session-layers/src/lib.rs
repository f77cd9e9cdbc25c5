#![doc = include_str!("../README.md")]

#[cfg(feature = "cached")]
mod cached;
#[cfg(feature = "metered")]
mod metered;

#[cfg(feature = "cached")]
pub use cached::{CacheExt, CacheSettings, CacheStats, Cached, Evictions, Lag};
#[cfg(feature = "metered")]
pub use metered::Metered;
