//! The caller's side: sends an operation at once, or queues it and waits for the reply.

use std::{mem, sync::Arc};

use session_core::{Error, ErrorKind, Result, SessionKey};
use tokio::{sync::oneshot, time::Instant};

use super::{
    batch::{NO_ANSWER, send_one},
    batch_op::BatchOp,
    dispatcher::Dispatcher,
    message::Message,
    runtime::Runtime,
    scheduler::{Admission, Scheduler},
};
use crate::Backend;

impl<B: Backend, O: BatchOp> Dispatcher<B, O> {
    /// Carries out one operation: at once if there is room in flight, otherwise in a batch with the
    /// others that wait.
    pub(crate) async fn submit(self: &Arc<Self>, op: O) -> Result<O::Answer> {
        let deadline = Runtime::now() + self.deadline;
        let admission = self.scheduler.lock().admit(op.key(), deadline);
        match admission {
            // The caller itself sends it: no task, no queue.
            Admission::SendNow(ticket) => {
                let _in_flight = InFlight { dispatcher: self, ticket };
                send_one(deadline, op, &*self.backend).await
            }
            Admission::Enqueue => self.enqueue(op, deadline).await,
            Admission::Closed => Err(Error::new(ErrorKind::Closed, O::OPERATION)),
        }
    }

    async fn enqueue(self: &Arc<Self>, op: O, deadline: Instant) -> Result<O::Answer> {
        let mut guard = CancelGuard { dispatcher: self, key: *op.key(), position: Position::WaitingForRoom };
        let Some(Ok(room)) = Runtime::until(deadline, self.room.acquire(op.bytes())).await else {
            return Err(O::unsent("the queue is full: the store is slower than what is asked of it"));
        };
        let (reply, mut answer) = oneshot::channel();
        if !guard.enqueue(Message { op, deadline, reply, followers: Vec::new(), _room: room }) {
            return Err(O::unsent("too many changes of this one session wait already"));
        }
        match Runtime::until(deadline, &mut answer).await {
            Some(answer) => {
                guard.position = Position::Done;
                // Every batch answers all of its callers. Without a reply, the outcome is not known.
                answer.unwrap_or_else(|_| Err(O::lost("the batch was dropped")))
            }
            None if guard.withdraw() => Err(O::expired()),
            // The reply may have come since.
            None => answer.try_recv().unwrap_or_else(|_| Err(O::lost(NO_ANSWER))),
        }
    }
}

/// An operation that its caller has sent. Dropping this reports that it is no longer in flight,
/// whatever its outcome.
struct InFlight<'a, B: Backend, O: BatchOp> {
    dispatcher: &'a Arc<Dispatcher<B, O>>,
    ticket: u64,
}

impl<B: Backend, O: BatchOp> Drop for InFlight<'_, B, O> {
    fn drop(&mut self) {
        self.dispatcher.update(|scheduler| scheduler.single_done(self.ticket));
    }
}

/// Takes the operation of a waiting caller back when the caller's future is dropped, so that memory is
/// taken up for waiting callers alone.
struct CancelGuard<'a, B: Backend, O: BatchOp> {
    dispatcher: &'a Arc<Dispatcher<B, O>>,
    key: SessionKey,
    position: Position,
}

/// Where the operation of a waiting caller is.
enum Position {
    WaitingForRoom,
    /// In the queue under this ticket, or sent.
    Queued(u64),
    /// The scheduler knows nothing of it.
    Done,
}

impl<B: Backend, O: BatchOp> CancelGuard<'_, B, O> {
    /// Queues the message. Returns false if the queue does not take it.
    fn enqueue(&mut self, message: Message<O>) -> bool {
        // What is refused is dropped without the lock, because the room that it frees may wake a caller.
        let Ok(ticket) = self.dispatcher.update(|scheduler| scheduler.enqueue(message)) else { return false };
        self.position = Position::Queued(ticket);
        true
    }

    /// Takes the operation back. Returns false if it was sent.
    fn withdraw(&mut self) -> bool {
        match mem::replace(&mut self.position, Position::Done) {
            Position::WaitingForRoom => {
                self.dispatcher.update(Scheduler::give_up_room);
                true
            }
            Position::Queued(ticket) => {
                self.dispatcher.update(|scheduler| scheduler.withdraw(ticket, &self.key)).is_some()
            }
            Position::Done => false,
        }
    }
}

impl<B: Backend, O: BatchOp> Drop for CancelGuard<'_, B, O> {
    fn drop(&mut self) {
        self.withdraw();
    }
}
