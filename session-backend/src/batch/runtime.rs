use std::future::Future;

use session_core::{Error, ErrorKind, Operation, Result};
use tokio::{runtime::Handle, time::Instant};

pub(crate) use parking_lot::Mutex;

/// What carries batches and knows the time: tokio. A model, whose schedule and time can be explored, takes its place under `cfg(shuttle)`.
#[derive(Clone)]
pub(crate) struct Runtime(Handle);

impl Runtime {
    /// The runtime that this is called in.
    pub(crate) fn current() -> Result<Self> {
        Handle::try_current().map(Self).map_err(|error| {
            Error::new(ErrorKind::Config, Operation::Connect)
                .because("batching needs a tokio runtime; make the store inside one, or turn batching off")
                .with_source(error)
        })
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task);
    }

    pub(crate) fn now() -> Instant {
        Instant::now()
    }

    pub(crate) fn has_passed(deadline: Instant) -> bool {
        deadline <= Instant::now()
    }

    /// Runs a future until the deadline, and drops it then: `None`.
    pub(crate) async fn until<F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
        tokio::time::timeout_at(deadline, future).await.ok()
    }
}
