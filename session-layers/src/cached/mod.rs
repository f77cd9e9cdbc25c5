//! [`Cached`]: a bounded cache in front of any store.

mod change;
mod clock;
mod counters;
mod entry;
mod extension;
mod fill;
mod flaw;
mod gate;
mod l1;
mod lag;
mod listener;
#[cfg(all(test, shuttle))]
mod model;
mod outage;
mod owner_index;
mod reading;
#[cfg(not(shuttle))]
mod runtime;
#[cfg(shuttle)]
#[path = "runtime_model.rs"]
mod runtime;
mod sent;
mod settings;
mod stats;
mod store;
#[cfg(all(test, not(shuttle)))]
mod tests;
mod under_way;
mod watch;

pub use extension::CacheExt;
pub use settings::CacheSettings;
pub use stats::{CacheStats, Evictions, Lag};
pub use store::Cached;
