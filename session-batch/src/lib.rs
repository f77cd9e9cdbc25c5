#![doc = include_str!("../README.md")]

mod attempt;
mod batch;
mod batched;
mod caller;
mod carrier;
mod channel;
mod forward;
mod gate;
mod kind;
mod lane;
mod parts;
mod places;
mod queue;
#[cfg(not(shuttle))]
mod runtime;
#[cfg(shuttle)]
#[path = "runtime_model.rs"]
mod runtime;
mod settings;
mod waiting;

pub use batched::Batched;
pub use parts::parts;
pub use settings::BatchSettings;
