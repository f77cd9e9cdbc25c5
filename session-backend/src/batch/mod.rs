//! [`Batched`]: turns concurrent single operations into batches.

#[allow(clippy::module_inception, reason = "a batch is the concept of that file")]
mod batch;
mod batch_op;
mod batched;
mod catch_panic;
mod chunk_ranges;
mod close_gate;
mod dispatcher;
mod forward;
mod message;
mod queue;
mod queue_room;
#[cfg(not(shuttle))]
mod runtime;
#[cfg(shuttle)]
#[path = "runtime_model.rs"]
mod runtime;
mod scheduler;
mod settings;
mod submit;

pub use batched::Batched;
pub use chunk_ranges::chunk_ranges;
pub use settings::BatchSettings;
