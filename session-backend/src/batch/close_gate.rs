//! Closing: operations that have begun are completed, and no other begins.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use session_core::{Error, ErrorKind, Operation, Result};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::runtime::Runtime;

/// More permits than operations are ever in flight.
const PERMITS: u32 = 1 << 28;

/// Counts operations as in flight until they drop their permit.
#[derive(Debug)]
pub(crate) struct CloseGate {
    is_closed: AtomicBool,
    permits: Semaphore,
    deadline: Duration,
}

impl CloseGate {
    pub(crate) fn new(deadline: Duration) -> Self {
        Self { is_closed: AtomicBool::new(false), permits: Semaphore::new(PERMITS as usize), deadline }
    }

    /// Begins an operation, if the store is open.
    pub(crate) fn enter(&self, operation: Operation) -> Result<SemaphorePermit<'_>> {
        let closed = || Error::new(ErrorKind::Closed, operation);
        if self.is_closed.load(Ordering::Relaxed) {
            return Err(closed());
        }
        // There is none while `close` waits for all of them, and none afterwards.
        self.permits.try_acquire().map_err(|_| closed())
    }

    /// Refuses further operations, and waits for those in flight.
    pub(crate) async fn close(&self) -> Result<()> {
        self.is_closed.store(true, Ordering::Relaxed);
        match Runtime::until(Runtime::now() + self.deadline, self.permits.acquire_many(PERMITS)).await {
            Some(all) => {
                // No permit is given back. Acquiring fails if another call has closed the semaphore.
                if let Ok(all) = all {
                    all.forget();
                    self.permits.close();
                }
                Ok(())
            }
            None => Err(still_in_flight()),
        }
    }
}

/// The error for operations that were still in flight at the deadline of `close`.
pub(crate) fn still_in_flight() -> Error {
    Error::unavailable(Operation::Close, false).because("operations are still in flight")
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn close_waits_for_what_is_in_flight_and_refuses_the_rest() {
        let gate = CloseGate::new(Duration::from_secs(1));
        let inside = gate.enter(Operation::Read).expect("it is open");
        assert!(gate.close().await.is_err_and(|error| error.is_transient()), "one is inside");
        assert!(gate.enter(Operation::Read).is_err_and(|error| error.kind() == ErrorKind::Closed));
        drop(inside);
        gate.close().await.expect("nothing is inside");
        gate.close().await.expect("it was closed");
        assert!(gate.enter(Operation::Read).is_err_and(|error| error.kind() == ErrorKind::Closed));
    }
}
