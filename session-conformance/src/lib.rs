#![doc = include_str!("../README.md")]

mod ability;
mod case;
mod cases;
mod churn;
mod context;
mod failure;
mod faults;
mod history;
mod model;
mod namespace;
mod promise;
mod race;
mod steps;
mod suite;
mod target;
mod verdict;

pub use ability::Ability;
pub use case::Case;
pub use cases::all as cases;
pub use churn::{Churn, Memory};
pub use faults::{Breakable, Fault, FaultControl};
pub use namespace::Namespace;
pub use promise::Promise;
pub use suite::Suite;
pub use target::{Foreign, Target, Unavailable};
pub use verdict::Verdict;

use context::Context;
