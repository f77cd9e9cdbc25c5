//! The drivers alone, as most programs use them: one query per operation. The ceiling for a store
//! that sends its operations one by one.

mod map;
mod mongo;
mod pipelined;
mod redis;
mod sql;

use super::Spec;

/// All plain drivers.
pub fn specs() -> Vec<Spec> {
    let mut specs = sql::specs();
    specs.extend([map::spec(), redis::spec(), pipelined::spec(), mongo::spec()]);
    specs
}

/// An id as long as ours, for a driver that makes none. Drawn from a fast generator, because the
/// driver is what is measured.
fn new_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}
