use std::{mem, slice};

use session_core::{Result, SessionKey};
use tokio::{sync::oneshot, time::Instant};

use super::{
    batch_op::BatchOp,
    catch_panic::catch_panic,
    message::{Message, ReadyBatch},
    queue::Queue,
    runtime::Runtime,
};
use crate::Backend;

/// Operations that are sent together, with the channels that answer their callers. Every caller is
/// answered, however the batch ends.
pub(crate) struct Batch<O: BatchOp> {
    keys: Vec<SessionKey>,
    ops: Vec<O>,
    replies: Vec<oneshot::Sender<Result<O::Answer>>>,
    /// The messages that are sent as part of each operation.
    followers: Vec<Vec<(u64, Message<O>)>>,
    /// The latest of the callers' deadlines. After that, no caller waits for the outcome.
    deadline: Instant,
    /// A message with a later ticket was submitted after this batch had left the queue.
    ticket: u64,
    is_sent: bool,
}

impl<O: BatchOp> Batch<O> {
    /// Makes a batch of these messages, without those whose deadline has passed. Their room in the
    /// queue is free from now on.
    pub(crate) fn new(ready: ReadyBatch<O>) -> Self {
        let ReadyBatch { messages, ticket } = ready;
        let keys = messages.iter().map(|message| *message.op.key()).collect();
        let (late, timely): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|message| Runtime::has_passed(message.deadline));
        for message in late {
            reply_to_all(message.reply, message.followers, Err(O::expired()));
        }
        let deadline = timely.iter().map(|message| message.deadline).max().unwrap_or_else(Runtime::now);
        let (mut ops, mut replies, mut followers) = (Vec::new(), Vec::new(), Vec::new());
        for message in timely {
            ops.push(message.op);
            replies.push(message.reply);
            followers.push(message.followers);
        }
        Self { keys, ops, replies, followers, deadline, ticket, is_sent: false }
    }

    /// Returns the keys that are locked for this batch.
    pub(crate) fn keys(&self) -> impl Iterator<Item = SessionKey> {
        self.keys.iter().copied()
    }

    /// Sends it, and returns an outcome for each operation, even if the backend panics, returns too
    /// few outcomes, or does not answer in time.
    pub(crate) async fn send<B: Backend>(&mut self, backend: &B) -> Vec<Result<O::Answer>> {
        self.is_sent = true;
        if self.ops.is_empty() {
            return Vec::new();
        }
        send_until(self.deadline, &self.ops, backend).await
    }

    /// Removes changes from the queue that these outcomes decide, because they were submitted before
    /// the batch was sent. Returns them with their outcomes, for the replies.
    ///
    /// Joined operations that did not take effect go back to the queue first, except for the first of
    /// them, so that each gets an outcome of its own.
    pub(crate) fn settle(
        &mut self,
        outcomes: &mut [Result<O::Answer>],
        queue: &mut Queue<O>,
    ) -> Vec<(Message<O>, Result<O::Answer>)> {
        for ((op, outcome), followers) in self.ops.iter().zip(&mut *outcomes).zip(&mut self.followers) {
            if let Some((_, next)) = followers.first()
                && let Some(first) = O::outcome_of_first(outcome, &next.op)
            {
                *outcome = first;
                queue.put_back(op.key(), mem::take(followers));
            }
        }
        let outcomes = &*outcomes;
        let deciding = self.ops.iter().zip(outcomes).filter(|(_, outcome)| O::decides_others(outcome));
        deciding
            .flat_map(|(op, outcome)| queue.settle(op.key(), self.ticket, |other| O::decided(outcome, other)))
            .collect()
    }

    /// Answers every caller.
    pub(crate) fn reply(mut self, outcomes: Vec<Result<O::Answer>>) {
        let callers = mem::take(&mut self.replies).into_iter().zip(mem::take(&mut self.followers));
        for ((reply, followers), outcome) in callers.zip(outcomes) {
            reply_to_all(reply, followers, outcome);
        }
    }
}

impl<O: BatchOp> Drop for Batch<O> {
    fn drop(&mut self) {
        let callers = mem::take(&mut self.replies).into_iter().zip(mem::take(&mut self.followers));
        for (reply, followers) in callers {
            let error = if self.is_sent { O::lost(RUNTIME_GONE) } else { O::unsent(RUNTIME_GONE) };
            reply_to_all(reply, followers, Err(error));
        }
    }
}

const RUNTIME_GONE: &str = "the runtime that sends batches has shut down";

/// Sends one operation for its own caller.
pub(crate) async fn send_one<O: BatchOp, B: Backend>(
    deadline: Instant,
    op: O,
    backend: &B,
) -> Result<O::Answer> {
    let outcomes = send_until(deadline, slice::from_ref(&op), backend).await;
    outcomes.into_iter().next().unwrap_or_else(|| Err(O::lost("the store gave no outcome")))
}

/// Sends operations, and returns as many outcomes at the deadline at the latest.
async fn send_until<O: BatchOp, B: Backend>(
    deadline: Instant,
    ops: &[O],
    backend: &B,
) -> Vec<Result<O::Answer>> {
    let reason = match Runtime::until(deadline, catch_panic(O::send(ops, backend))).await {
        Some(Ok(outcomes)) if outcomes.len() == ops.len() => return outcomes,
        Some(Ok(outcomes)) => {
            format!("the store gave {} outcomes for {} items", outcomes.len(), ops.len())
        }
        Some(Err(panicked)) => panicked.to_owned(),
        None => NO_ANSWER.to_owned(),
    };
    ops.iter().map(|_| Err(O::lost(&reason))).collect()
}

pub(crate) const NO_ANSWER: &str = "there was no answer within the deadline";

/// Fails messages that were not sent.
pub(crate) fn reject<O: BatchOp>(messages: Vec<Message<O>>) {
    for message in messages {
        reply(message.reply, Err(O::unsent(RUNTIME_GONE)));
    }
}

fn reply_to_all<O: BatchOp>(
    first: oneshot::Sender<Result<O::Answer>>,
    followers: Vec<(u64, Message<O>)>,
    outcome: Result<O::Answer>,
) {
    for (_, follower) in followers {
        reply(follower.reply, outcome.clone());
    }
    reply(first, outcome);
}

pub(crate) fn reply<T>(sender: oneshot::Sender<T>, outcome: T) {
    // A caller that has given up does not need the outcome.
    let _ = sender.send(outcome);
}
