use std::{
    future::{Future, poll_fn},
    task::Poll,
    time::Duration,
};

use session_core::{Error, ErrorKind, Operation, Result};
use tokio::{runtime::Handle, task::AbortHandle};

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use parking_lot::Mutex;

/// Runs the reads and the listening task on tokio. Under `cfg(shuttle)`, a model whose schedule can
/// be explored replaces it.
#[derive(Clone, Debug)]
pub(crate) struct Runtime(Handle);

/// A task that is aborted when this is dropped.
#[derive(Debug)]
pub(crate) struct Task(AbortHandle);

impl Runtime {
    /// The runtime that the caller runs in.
    pub(crate) fn current() -> Result<Self> {
        Handle::try_current().map(Self).map_err(|error| {
            Error::new(ErrorKind::Config, Operation::Connect)
                .because("a cache needs a tokio runtime; make it inside one")
                .with_source(error)
        })
    }

    /// Polls `work` once in the caller, so that the store has the request when this returns, and
    /// spawns a task for the rest.
    pub(crate) async fn begin(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut work = Box::pin(work);
        let begun = poll_fn(|context| {
            let _entered = self.0.enter();
            Poll::Ready(work.as_mut().poll(context))
        });
        if begun.await.is_pending() {
            self.0.spawn(work);
        }
    }

    /// Spawns a task.
    pub(crate) fn start(&self, task: impl Future<Output = ()> + Send + 'static) -> Task {
        Task(self.0.spawn(task).abort_handle())
    }

    pub(crate) async fn sleep(pause: Duration) {
        tokio::time::sleep(pause).await;
    }

    /// Runs a future with a timeout.
    pub(crate) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
        tokio::time::timeout(limit, future).await.ok()
    }
}

impl Task {
    pub(crate) fn end(&self) {
        self.0.abort();
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.end();
    }
}
