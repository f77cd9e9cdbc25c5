//! The rules of batching, over a store whose calls can be held back, recorded, and made to fail.

mod backpressure;
mod cancellation;
mod chains;
mod closing;
mod conflicts;
mod deadlines;
mod failures;
mod gate;
mod inside;
mod order;
mod sending;
mod setup;
mod under_load;
mod waits;
