use std::{
    future::{Future, poll_fn},
    task::Poll,
    time::Duration,
};

use session_core::{Error, ErrorKind, Operation, Result};
use tokio::{runtime::Handle, task::AbortHandle};

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use parking_lot::Mutex;

/// What carries readings and listens: tokio. A model, whose schedule can be explored, takes its place under `cfg(shuttle)`.
#[derive(Clone, Debug)]
pub(crate) struct Runtime(Handle);

/// A task that ends when this goes.
#[derive(Debug)]
pub(crate) struct Task(AbortHandle);

impl Runtime {
    /// The runtime that this is called in.
    pub(crate) fn current() -> Result<Self> {
        Handle::try_current().map(Self).map_err(|error| {
            Error::new(ErrorKind::Config, Operation::Connect)
                .because("a cache needs a tokio runtime; make it inside one")
                .with_source(error)
        })
    }

    /// Begins some work here, so that the store within knows of it when this returns, and lets a task go on with it.
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

    /// Starts a task.
    pub(crate) fn start(&self, task: impl Future<Output = ()> + Send + 'static) -> Task {
        Task(self.0.spawn(task).abort_handle())
    }

    pub(crate) async fn sleep(pause: Duration) {
        tokio::time::sleep(pause).await;
    }

    /// Runs a future for at most this long.
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
