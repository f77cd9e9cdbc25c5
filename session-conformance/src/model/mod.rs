//! The contract as a model: the effect of each change, and what each way of seeing must then
//! return.
//!
//! [`Step`](step::Step)s are the actions, [`World`](world::World)s the states that the contract
//! allows afterwards, and [`Sight`](sight::Sight)s the ways of seeing. A [`Run`](run::Run) performs
//! the steps on a store and compares. The steps come from two sources: [`table`] lists each way of
//! changing a record in each state that it can be in, and [`random`] draws sequences.

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
