//! Helpers of the tests. No test needs all of them.

#![allow(dead_code, unused_imports, unused_macros)]

pub(crate) mod command;
pub(crate) mod harness;
pub(crate) mod log;
pub(crate) mod migration;
pub(crate) mod slots;
pub(crate) mod tls;

use tokio::runtime::{Builder, Runtime};

/// A runtime for everything that outlives a test.
pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}
