//! What the tests on database servers share. No test needs all of it.

#![allow(dead_code)]

#[cfg(all(feature = "postgres", feature = "mysql"))]
pub(crate) mod lab;
#[cfg(all(feature = "postgres", feature = "mysql", feature = "tls"))]
pub(crate) mod tls;

use tokio::runtime::{Builder, Runtime};

/// A runtime for work that outlives a test.
pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}
