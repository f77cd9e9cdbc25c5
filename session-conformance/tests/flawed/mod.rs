//! Any mistake of a table, made by a layer over the store that makes none.

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
