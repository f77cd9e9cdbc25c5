use std::{future::Future, time::Duration};

use session_core::{Error, ErrorKind, Operation, Result};
use tokio::time::{Instant, timeout_at};

/// The shortest deadline.
const SHORTEST: Duration = Duration::from_millis(10);

/// Validates a deadline: zero is an error, and the minimum is 10 ms.
pub(crate) fn checked(deadline: Duration) -> Result<Duration> {
    if deadline.is_zero() {
        return Err(Error::new(ErrorKind::Config, Operation::Connect)
            .because("a deadline of 0 leaves no operation any time; set 10 ms or more"));
    }
    Ok(deadline.max(SHORTEST))
}

/// Normalises an interval: zero means `None`, and the minimum is 1 ms.
pub(crate) fn interval(interval: Option<Duration>) -> Option<Duration> {
    interval.filter(|interval| !interval.is_zero()).map(|interval| interval.max(Duration::from_millis(1)))
}

/// The moment by which an operation must have an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    pub(crate) fn after(patience: Duration) -> Self {
        Self(Instant::now() + patience)
    }

    /// The moment at which the deadline passes.
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    pub(crate) fn at(self) -> Instant {
        self.0
    }

    /// Waits for access to the database. Nothing has been sent yet, so a timeout or a dropped
    /// future changes nothing.
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
    /// Waits for the answer to a read. A read changes nothing, so a timeout changes nothing either.
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
    /// Runs a change on its own task, so that a caller that is dropped or times out does not leave
    /// it half done. The change then runs to its end, and is reported to listeners when it is made.
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
