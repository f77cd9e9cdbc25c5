//! A layer that makes any mistake of a table, over the store that makes none.

mod batches;
mod changes;
mod flaw;
mod layer;
mod listings;
mod renames;
mod table;
mod values;

pub(crate) use flaw::{Flaw, Handle, Kind, Op};
pub(crate) use layer::target;
pub(crate) use table::table;
