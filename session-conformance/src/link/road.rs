use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use session_core::{Error, Operation, Result, async_trait};
use tokio::{
    sync::{RwLock, watch},
    task::yield_now,
    time::sleep,
};

use crate::{Fault, FaultControl};

/// The simulated number of connections, each of which [`Fault::Cut`] cuts once.
const CONNECTIONS: usize = 4;

/// The simulated network between the link and its store.
#[derive(Default)]
pub(super) struct Road {
    /// The current fault.
    pub(super) fault: watch::Sender<Option<Fault>>,
    /// The number of connections still to be cut.
    cuts: AtomicUsize,
    /// Read-locked by requests in flight, until the store is closed.
    pub(super) under_way: Arc<RwLock<()>>,
}

impl Road {
    /// Carries a request to the store and its reply back.
    pub(super) async fn travel<T>(
        &self,
        operation: Operation,
        request: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        take_some_time().await;
        let mut fault = self.fault.subscribe();
        let now = *fault.borrow_and_update();
        match now {
            Some(Fault::Kill) => {
                return Err(Error::unavailable(operation, false).because("the link is dead"));
            }
            Some(Fault::Freeze) => drop(fault.wait_for(|fault| *fault != Some(Fault::Freeze)).await),
            _ => {}
        }
        let answer = request.await;
        take_some_time().await;
        let is_cut =
            self.cuts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        let now = *fault.borrow_and_update();
        match now {
            _ if is_cut => Err(lost(operation).because("the connection was cut")),
            Some(Fault::Kill) => Err(lost(operation).because("the link has died")),
            Some(Fault::LoseReplies) => {
                drop(fault.wait_for(|fault| *fault != Some(Fault::LoseReplies)).await);
                Err(lost(operation).because("the reply was lost"))
            }
            Some(Fault::Freeze) => {
                drop(fault.wait_for(|fault| *fault != Some(Fault::Freeze)).await);
                answer
            }
            _ => answer,
        }
    }
}

/// The error for an operation that may have been executed.
pub(super) fn lost(operation: Operation) -> Error {
    Error::unavailable(operation, operation.is_change())
}

/// Usually waits very briefly, so that a case of many calls ends soon. Sometimes waits long enough
/// for other calls to overtake.
async fn take_some_time() {
    let chance: u8 = rand::random();
    for _ in 0..chance % 8 {
        yield_now().await;
    }
    if chance >= 224 {
        sleep(Duration::from_millis(1)).await;
    }
}

/// Delays an event. Events keep their order. Occasionally one arrives long after the reply to its
/// change.
pub(super) async fn event_takes_some_time() {
    take_some_time().await;
    if rand::random_ratio(1, 32) {
        sleep(Duration::from_millis(5)).await;
    }
}

#[async_trait]
impl FaultControl for Road {
    async fn inject(&self, fault: Fault) {
        if fault == Fault::Cut {
            self.cuts.store(CONNECTIONS, Ordering::SeqCst);
        }
        self.fault.send_replace(Some(fault));
    }

    async fn heal(&self, _: Fault) {
        self.cuts.store(0, Ordering::SeqCst);
        self.fault.send_replace(None);
    }
}
