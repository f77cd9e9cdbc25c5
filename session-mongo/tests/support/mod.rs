//! Helpers of the tests. No test needs all of them.

#![allow(dead_code)]

pub(crate) mod guarded;
pub(crate) mod harness;
pub(crate) mod log;
pub(crate) mod raw;

use tokio::runtime::{Builder, Runtime};

/// A runtime for everything that outlives a test.
pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}
