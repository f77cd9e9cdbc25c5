//! [`Cached`]: a bounded cache in front of any store.

mod change;
mod clock;
mod counters;
mod entry;
mod epoch;
mod extension;
mod flaw;
mod in_flight;
mod lag;
mod listener;
mod load_lease;
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
mod table;
#[cfg(all(test, not(shuttle)))]
mod tests;
mod watch;

pub use extension::CacheExt;
pub use settings::CacheSettings;
pub use stats::{CacheStats, Evictions, Lag};
pub use store::Cached;
