use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::OnceLock,
    task::Poll,
    time::Duration,
};

use session_core::Result;
use shuttle::{
    rand::{Rng, thread_rng},
    sync::MutexGuard,
};
use tokio::time::Instant;

/// What takes the place of tokio in the model: the checker's schedule, and time that passes whenever that finds a mistake.
#[derive(Clone)]
pub(crate) struct Runtime;

impl Runtime {
    #[expect(clippy::unnecessary_wraps, reason = "as the real one")]
    pub(crate) fn current() -> Result<Self> {
        Ok(Self)
    }

    #[expect(clippy::unused_self, reason = "as the real one")]
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(shuttle::future::spawn(task));
    }

    /// Always the same moment: which deadlines have passed, [`until`](Self::until) decides.
    pub(crate) fn now() -> Instant {
        static NOW: OnceLock<Instant> = OnceLock::new();
        *NOW.get_or_init(Instant::now)
    }

    /// Never: what the model gives up at a deadline, it gives up by [`until`](Self::until).
    pub(crate) fn has_passed(deadline: Instant) -> bool {
        deadline < Self::now()
    }

    /// A deadline within a second of the moment that is always now passes between any two steps;
    /// all others never pass.
    pub(crate) async fn until<F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            if deadline > Self::now() + Duration::from_secs(1) {
                return Poll::Pending;
            }
            if thread_rng().gen_ratio(1, 4) {
                return Poll::Ready(None);
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }
}

/// A lock at which the checker may change the schedule.
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("no panic happens under this lock")
    }
}
