use std::{future::Future, pin::Pin};

use benches::callers::Run;

/// A run under way.
pub(crate) type Running = Pin<Box<dyn Future<Output = Run>>>;

/// A way to keep sessions in MongoDB.
pub(crate) trait Candidate {
    fn name(&self) -> &'static str;

    /// Reads sessions at random.
    fn read(&self, callers: usize, operations: usize) -> Running;

    /// Replaces the data of sessions.
    fn write(&self, callers: usize, operations: usize) -> Running;
}
