//! What the benchmarks of this workspace share: arguments, keys to draw, rounds to run, a table to print.
//!
//! Every benchmark runs its candidates *interleaved* in one process ([`rounds::interleave`]): each round runs
//! all of them, each time beginning with another one, so that a slow minute of the machine hits all alike.
//! What is reported is the median of the rounds together with their quartiles ([`summary::Summary`]); two
//! candidates whose quartiles overlap are equally fast as far as the run can tell.

pub mod args;
pub mod candidate;
pub mod child;
pub mod cli;
pub mod cpu_time;
pub mod engine;
pub mod executor;
pub mod interrupt;
pub mod keys;
pub mod measure;
pub mod memory;
pub mod parallel;
pub mod payload;
#[cfg(feature = "peers")]
pub mod peers;
pub mod probe;
pub mod program;
pub mod report;
pub mod rounds;
pub mod summary;
pub mod table;
pub mod workload;
