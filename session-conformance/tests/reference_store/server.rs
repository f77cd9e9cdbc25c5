use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use session_conformance::{Fault, FaultControl};
use session_core::{Error, ErrorKind, Operation, Result, async_trait};
use tokio::{sync::watch, task::yield_now, time};

use super::{Flaw, lock};

pub(super) const DEADLINE: Duration = Duration::from_millis(400);

/// A stand-in for the network and the server process between a handle and its records. It can be
/// broken.
#[derive(Debug)]
pub(super) struct Server {
    fault: watch::Sender<Option<Fault>>,
    was_broken: watch::Sender<bool>,
    /// How often connections were cut, and that number when the present one was opened.
    cuts: AtomicU64,
    connected: AtomicU64,
    /// The number of requests whose replies are lost and that are still waiting.
    lost: AtomicU64,
    died: Mutex<Option<Instant>>,
    flaw: Option<Flaw>,
}

/// A request in flight: the connection that it was sent on.
pub(super) struct Sent(u64);

impl Server {
    pub(super) fn new(flaw: Option<Flaw>) -> Self {
        Self {
            fault: watch::Sender::new(None),
            was_broken: watch::Sender::new(false),
            cuts: AtomicU64::new(0),
            connected: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            died: Mutex::new(None),
            flaw,
        }
    }

    fn unavailable(&self, operation: Operation, may_have_applied: bool) -> Error {
        match self.flaw {
            Some(Flaw::OutageIsInternal) => Error::new(ErrorKind::Internal, operation),
            Some(Flaw::LostReplyMeansFailed) => Error::unavailable(operation, false),
            _ => Error::unavailable(operation, may_have_applied),
        }
    }

    pub(super) fn was_broken(&self) -> bool {
        *self.was_broken.borrow()
    }

    /// The time of the server's last death.
    pub(super) fn died(&self) -> Option<Instant> {
        *lock(&self.died)
    }

    /// Sends a request to the server.
    pub(super) async fn request(&self, operation: Operation) -> Result<Sent> {
        let sent = Sent(self.connected.load(Ordering::SeqCst));
        yield_now().await;
        if self.flaw == Some(Flaw::NeverRecovers) && *self.was_broken.borrow() {
            return Err(self.unavailable(operation, false));
        }
        let mut fault = self.fault.subscribe();
        let now = *fault.borrow();
        match now {
            Some(Fault::Kill) => Err(self.unavailable(operation, false)),
            Some(Fault::Freeze) => {
                let thawed = fault.wait_for(|fault| *fault != Some(Fault::Freeze));
                let limit = if self.flaw == Some(Flaw::NoDeadline) { 10 * DEADLINE } else { DEADLINE };
                match time::timeout(limit, thawed).await {
                    Ok(Ok(_)) => Ok(sent),
                    _ => Err(self.unavailable(operation, false)),
                }
            }
            _ => Ok(sent),
        }
    }

    /// Receives a reply, to a change or to a read-only call.
    pub(super) async fn reply(
        &self,
        Sent(connected): Sent,
        operation: Operation,
        change: bool,
    ) -> Result<()> {
        yield_now().await;
        let cuts = self.cuts.load(Ordering::SeqCst);
        if cuts > connected {
            self.connected.store(cuts, Ordering::SeqCst);
            return Err(self.unavailable(operation, change));
        }
        let fault = *self.fault.borrow();
        if fault == Some(Fault::LoseReplies) {
            let lost = self.lost.fetch_add(1, Ordering::SeqCst);
            time::sleep(DEADLINE).await;
            self.lost.fetch_sub(1, Ordering::SeqCst);
            if lost > 32 && self.flaw == Some(Flaw::CrowdIsToldUnsent) {
                return Err(self.unavailable(operation, false));
            }
        }
        if matches!(fault, Some(Fault::LoseReplies | Fault::Kill)) {
            return Err(self.unavailable(operation, change));
        }
        Ok(())
    }
}

#[async_trait]
impl FaultControl for Server {
    async fn inject(&self, fault: Fault) {
        if fault == Fault::Cut {
            self.cuts.fetch_add(1, Ordering::SeqCst);
            return;
        }
        if fault == Fault::Kill {
            *lock(&self.died) = Some(Instant::now());
        }
        self.fault.send_replace(Some(fault));
        self.was_broken.send_replace(true);
    }

    async fn heal(&self, fault: Fault) {
        if fault == Fault::Cut {
            self.connected.store(self.cuts.load(Ordering::SeqCst), Ordering::SeqCst);
        }
        self.fault.send_replace(None);
    }
}
