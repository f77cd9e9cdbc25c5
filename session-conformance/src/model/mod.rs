//! The contract as a model: what each change does, and what each way of seeing must then show.
//!
//! [`Step`](step::Step)s say what is done, [`World`](world::World)s what the contract says is there afterwards, [`Sight`](sight::Sight)s how it is looked at,
//! and a [`Run`](run::Run) does the steps on a store and compares. The steps come from two sources: [`table`] writes down each way of changing a
//! record in each state that it can be in, and [`random`] draws sequences.

mod item;
mod look;
mod plan;
pub(crate) mod random;
pub(crate) mod run;
pub(crate) mod sight;
pub(crate) mod step;
pub(crate) mod table;
mod world;

pub(crate) use item::{Answer, By, Item, carry_out};
pub(crate) use world::{Asked, World};
