use std::time::Duration;

use session_conformance::{Fault, FaultControl};
use session_core::{Error, ErrorKind, Operation, Result, async_trait};
use tokio::{sync::watch, time};

use super::Flaw;

pub(super) const DEADLINE: Duration = Duration::from_millis(400);

/// What stands between a handle and its records, and can be broken: a stand-in for the network and the server process.
#[derive(Debug)]
pub(super) struct Server {
    fault: watch::Sender<Option<Fault>>,
    was_broken: watch::Sender<bool>,
    flaw: Option<Flaw>,
}

impl Server {
    pub(super) fn new(flaw: Option<Flaw>) -> Self {
        Self { fault: watch::Sender::new(None), was_broken: watch::Sender::new(false), flaw }
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

    /// A request on its way to the server.
    pub(super) async fn request(&self, operation: Operation) -> Result<()> {
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
                    Ok(Ok(_)) => Ok(()),
                    _ => Err(self.unavailable(operation, false)),
                }
            }
            _ => Ok(()),
        }
    }

    /// A reply on its way back, to a change or to a question.
    pub(super) async fn reply(&self, operation: Operation, change: bool) -> Result<()> {
        if *self.fault.borrow() == Some(Fault::LoseReplies) {
            time::sleep(DEADLINE).await;
            return Err(self.unavailable(operation, change));
        }
        Ok(())
    }
}

#[async_trait]
impl FaultControl for Server {
    async fn inject(&self, fault: Fault) {
        self.fault.send_replace(Some(fault));
        self.was_broken.send_replace(true);
    }

    async fn heal(&self, _: Fault) {
        self.fault.send_replace(None);
    }
}
