use std::{future::Future, time::Duration};

use session_core::{Error, ErrorKind, Operation, Result};
use tokio::time::{Instant, timeout_at};

/// The shortest deadline.
const SHORTEST: Duration = Duration::from_millis(10);

/// A deadline that can be kept.
pub(crate) fn checked(deadline: Duration) -> Result<Duration> {
    if deadline.is_zero() {
        return Err(Error::new(ErrorKind::Config, Operation::Connect)
            .because("a deadline of 0 leaves no operation any time; set 10 ms or more"));
    }
    Ok(deadline.max(SHORTEST))
}

/// An interval, if it is one: zero turns off what would happen at it.
pub(crate) fn interval(interval: Option<Duration>) -> Option<Duration> {
    interval.filter(|interval| !interval.is_zero()).map(|interval| interval.max(Duration::from_millis(1)))
}

/// Until when an operation must have an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    pub(crate) fn after(patience: Duration) -> Self {
        Self(Instant::now() + patience)
    }

    /// When it passes.
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    pub(crate) fn at(self) -> Instant {
        self.0
    }

    /// Waits for the way to the database. Nothing has been sent yet, so giving up, or being dropped, changes nothing.
    pub(crate) async fn wait<T>(
        self,
        operation: Operation,
        way: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        timeout_at(self.0, way).await.unwrap_or_else(|_| {
            Err(Error::unavailable(operation, false).because("the database was busy until the deadline"))
        })
    }

    #[cfg(feature = "sqlite")]
    /// Waits for the answer to a question. Giving up changes nothing, because a question does not.
    pub(crate) async fn ask<T>(
        self,
        operation: Operation,
        answer: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        timeout_at(self.0, answer).await.unwrap_or_else(|_| {
            Err(Error::unavailable(operation, false).because("there was no answer within the deadline"))
        })
    }

    #[cfg(feature = "sqlite")]
    /// Carries out a change on a task of its own, so that a caller that is dropped or gives up leaves nothing half done: the change
    /// then goes on alone, and is reported to listeners when it is made.
    pub(crate) async fn change<T: Send + 'static>(
        self,
        operation: Operation,
        change: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let task = tokio::spawn(change);
        match timeout_at(self.0, task).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(ended)) => {
                Err(Error::unavailable(operation, true).because("its task was ended").with_source(ended))
            }
            Err(_) => {
                Err(Error::unavailable(operation, true).because("there was no answer within the deadline"))
            }
        }
    }
}
