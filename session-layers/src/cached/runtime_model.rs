use std::{
    future::{Future, poll_fn},
    task::Poll,
    time::Duration,
};

use session_core::Result;
use shuttle::{
    future::{JoinHandle, yield_now},
    sync::MutexGuard,
};

pub(crate) use shuttle::sync::atomic::{AtomicU64, Ordering};

/// Replaces tokio in the model: the checker schedules the tasks, and no time passes.
#[derive(Clone, Debug)]
pub(crate) struct Runtime;

/// A task that is aborted when this is dropped.
#[derive(Debug)]
pub(crate) struct Task(JoinHandle<()>);

impl Runtime {
    #[expect(clippy::unnecessary_wraps, reason = "as the real one")]
    pub(crate) fn current() -> Result<Self> {
        Ok(Self)
    }

    #[expect(clippy::unused_self, reason = "as the real one")]
    pub(crate) async fn begin(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut work = Box::pin(work);
        if poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await.is_pending() {
            drop(shuttle::future::spawn(work));
        }
    }

    #[expect(clippy::unused_self, reason = "as the real one")]
    pub(crate) fn start(&self, task: impl Future<Output = ()> + Send + 'static) -> Task {
        Task(shuttle::future::spawn(task))
    }

    pub(crate) async fn sleep(_pause: Duration) {
        yield_now().await;
    }

    #[expect(clippy::unnecessary_wraps, reason = "as the real one")]
    pub(crate) async fn within<F: Future>(_limit: Duration, future: F) -> Option<F::Output> {
        Some(future.await)
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

/// A lock at which the checker may change the schedule.
#[derive(Debug)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("no panic happens under this lock")
    }
}
