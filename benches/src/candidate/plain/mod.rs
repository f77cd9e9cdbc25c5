//! The drivers alone, as most programs use them: a query for each operation. The ceiling for a store that sends its operations one by one.

mod map;
mod mongo;
mod pipelined;
mod redis;
mod sql;

use super::Spec;

/// All of them.
pub fn specs() -> Vec<Spec> {
    let mut specs = sql::specs();
    specs.extend([map::spec(), redis::spec(), pipelined::spec(), mongo::spec()]);
    specs
}

/// An id for a driver that makes none: as long as ours, and drawn from a fast generator, because what is measured is the driver.
fn new_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}
