//! The stores of tower-sessions. They use three releases of its core, each with its own trait.

mod core;
mod open;
mod specs;

pub(super) use specs::specs;
