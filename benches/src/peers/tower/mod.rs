//! tower-sessions' stores. They are written against three releases of its core, whose traits are three.

mod core;
mod open;
mod specs;

pub(super) use specs::specs;
