//! What the tests share.

pub(crate) mod command;
pub(crate) mod once;
pub(crate) mod slots;

use tokio::runtime::{Builder, Runtime};

/// A runtime for what outlives a test.
pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}
