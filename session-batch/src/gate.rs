//! Closing: what has begun is let finish, and nothing else begins.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use session_core::{Error, ErrorKind, Operation, Result};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::runtime::Runtime;

/// More than ever are under way at once.
const PLACES: u32 = 1 << 28;

/// What passes here is under way until it drops its place.
#[derive(Debug)]
pub(crate) struct Gate {
    is_closed: AtomicBool,
    places: Semaphore,
    deadline: Duration,
}

impl Gate {
    pub(crate) fn new(deadline: Duration) -> Self {
        Self { is_closed: AtomicBool::new(false), places: Semaphore::new(PLACES as usize), deadline }
    }

    /// Begins an operation, if the store is open.
    pub(crate) fn enter(&self, operation: Operation) -> Result<SemaphorePermit<'_>> {
        let closed = || Error::new(ErrorKind::Closed, operation);
        if self.is_closed.load(Ordering::Relaxed) {
            return Err(closed());
        }
        // There is none while `close` waits for all of them, nor afterwards.
        self.places.try_acquire().map_err(|_| closed())
    }

    /// Lets nothing begin any more, and waits until what is under way has ended.
    pub(crate) async fn close(&self) -> Result<()> {
        self.is_closed.store(true, Ordering::Relaxed);
        match Runtime::until(Runtime::now() + self.deadline, self.places.acquire_many(PLACES)).await {
            Some(all) => {
                // No place is given back. It fails if another call has closed it.
                if let Ok(all) = all {
                    all.forget();
                    self.places.close();
                }
                Ok(())
            }
            None => Err(still_under_way()),
        }
    }
}

/// Something has not ended by the deadline of closing.
pub(crate) fn still_under_way() -> Error {
    Error::unavailable(Operation::Close, false).because("operations are still under way")
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_inside_is_waited_for_and_nothing_else_comes_in() {
        let gate = Gate::new(Duration::from_secs(1));
        let inside = gate.enter(Operation::Read).expect("it is open");
        assert!(gate.close().await.is_err_and(|error| error.is_transient()), "one is inside");
        assert!(gate.enter(Operation::Read).is_err_and(|error| error.kind() == ErrorKind::Closed));
        drop(inside);
        gate.close().await.expect("nothing is inside");
        gate.close().await.expect("it was closed");
        assert!(gate.enter(Operation::Read).is_err_and(|error| error.kind() == ErrorKind::Closed));
    }
}
