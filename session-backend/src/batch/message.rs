use session_core::Result;
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    time::Instant,
};

use super::batch_op::BatchOp;

/// A queued operation, with the channel that answers its caller.
pub(crate) struct Message<O: BatchOp> {
    /// With followers, the operation that stands for all of them; see [`BatchOp::joined`].
    pub(crate) op: O,
    /// With followers, the latest of all deadlines.
    pub(crate) deadline: Instant,
    pub(crate) reply: oneshot::Sender<Result<O::Answer>>,
    /// The messages that are sent as part of this operation, oldest first, with their tickets.
    pub(crate) followers: Vec<(u64, Message<O>)>,
    /// Its room in the queue, which is free again when this is dropped.
    pub(crate) _room: OwnedSemaphorePermit,
}

/// Messages that leave the queue together.
pub(crate) struct ReadyBatch<O: BatchOp> {
    pub(crate) messages: Vec<Message<O>>,
    /// The last ticket that was given out before they left. A message with a later ticket was
    /// submitted after that.
    pub(crate) ticket: u64,
}
