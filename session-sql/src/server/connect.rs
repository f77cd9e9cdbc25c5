use std::{future::Future, time::Duration};

use session_core::{Error, Operation, Result};
use tokio::time::timeout;

use super::dialect::{Dialect, Meaning};

/// The minimum time limit for opening a store: tables may have to be created, and other processes
/// may be creating them.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn within<T>(
    deadline: Duration,
    opening: impl Future<Output = Result<T>>,
) -> impl Future<Output = Result<T>> {
    // Boxed because the future is large, and would be a part of every future around it.
    let opening = timeout(deadline.max(PATIENCE), Box::pin(opening));
    async {
        opening.await.unwrap_or_else(|_| {
            Err(Error::unavailable(Operation::Connect, false)
                .because("there was no answer within the deadline"))
        })
    }
}

pub(crate) fn broken<D: Dialect>(error: sqlx::Error) -> Error {
    match D::meaning(Operation::Connect, &error) {
        Meaning::Refused(refusal) | Meaning::Elsewhere(refusal) => refusal.with_source(error),
        _ => Error::unavailable(Operation::Connect, false)
            .because("no connection could be made, or it was lost")
            .with_source(error),
    }
}
