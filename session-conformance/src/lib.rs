#![doc = include_str!("../README.md")]

mod ambiguous;
mod assertions;
#[cfg(unix)]
mod breakable_server;
mod capability;
mod case;
mod cases;
mod closing;
mod context;
mod crossing;
mod crowds;
mod dropped;
mod events;
mod expiring;
mod extensions;
mod failure;
mod fault_workload;
mod faults;
mod hammer;
mod heard;
mod history;
mod link;
mod listing;
mod long_batches;
mod meeting_batches;
mod model;
mod namespace;
mod newest;
mod operations;
mod overlapped;
mod pace;
mod pairs;
mod product;
mod promise;
mod questions;
mod race;
mod reaped;
mod renewed;
mod report;
mod restarts;
mod rounds;
#[cfg(unix)]
mod shared_server;
mod streams;
mod suite;
mod target;
mod verdict;

#[cfg(unix)]
pub use breakable_server::BreakableServer;
pub use capability::Capability;
pub use case::Case;
pub use cases::all as cases;
pub use fault_workload::{FaultWorkload, Memory};
pub use faults::{Breakable, Fault, FaultControl};
pub use link::Link;
pub use namespace::Namespace;
pub use promise::Promise;
#[cfg(unix)]
pub use session_servers::{ChildServer, Proxy};
#[cfg(unix)]
pub use shared_server::SharedServer;
pub use suite::Suite;
pub use target::{Foreign, Target, Unavailable};
pub use verdict::Verdict;

use context::Context;
