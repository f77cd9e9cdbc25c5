//! Shared parts of the benchmarks of this workspace: arguments, key draws, rounds and table output.
//!
//! Every benchmark runs its candidates *interleaved* in one process ([`rounds::interleave`]). Each
//! round runs all candidates and begins with a different one, so that a slow minute of the machine
//! affects all alike.
//!
//! The report gives the median of the rounds with its quartiles ([`summary::Summary`]). Two
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
