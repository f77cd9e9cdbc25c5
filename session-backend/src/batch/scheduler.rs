use session_core::SessionKey;
use tokio::time::Instant;

use super::{
    batch_op::BatchOp,
    message::{Message, ReadyBatch},
    queue::Queue,
    runtime::Runtime,
    settings::BatchSettings,
};

/// What is done with an operation that is submitted.
pub(crate) enum Admission {
    /// Its caller sends it now. It is in flight until [`single_done`](Scheduler::single_done) gets
    /// this ticket.
    SendNow(u64),
    /// Its caller waits for room in the queue, then [enqueues](Scheduler::enqueue) it.
    Enqueue,
    /// The store is closed.
    Closed,
}

/// An operation that its own caller has sent.
struct Single {
    ticket: u64,
    key: SessionKey,
    deadline: Instant,
}

/// The state of one kind of operation: what waits, what is in flight, and what is sent next. Never
/// waits itself; the dispatcher keeps it under one lock.
pub(crate) struct Scheduler<O: BatchOp> {
    settings: BatchSettings,
    max_data_len: usize,
    is_closed: bool,
    /// The number of callers that wait for room in the queue.
    waiting_for_room: usize,
    pub(crate) queue: Queue<O>,
    /// The number of batches in flight.
    batches: usize,
    /// What else is in flight. Together with the batches, at most `max_in_flight`.
    singles: Vec<Single>,
}

impl<O: BatchOp> Scheduler<O> {
    pub(crate) fn new(settings: BatchSettings, max_data_len: usize) -> Self {
        Self {
            settings,
            max_data_len,
            is_closed: false,
            waiting_for_room: 0,
            queue: Queue::new(),
            batches: 0,
            singles: Vec::with_capacity(settings.max_in_flight),
        }
    }

    /// Admits an operation. It is sent now if there is room in flight and it overtakes no other.
    pub(crate) fn admit(&mut self, key: &SessionKey, deadline: Instant) -> Admission {
        if self.is_closed {
            return Admission::Closed;
        }
        let is_free = self.waiting_for_room == 0 && self.queue.has_none_ready() && self.has_room_in_flight();
        if !is_free || !self.queue.lock(key) {
            self.waiting_for_room += 1;
            return Admission::Enqueue;
        }
        let ticket = self.queue.next_ticket();
        self.singles.push(Single { ticket, key: *key, deadline });
        Admission::SendNow(ticket)
    }

    /// A caller stops waiting for room in the queue.
    pub(crate) fn give_up_room(&mut self) {
        self.waiting_for_room -= 1;
    }

    /// Queues the message of a caller that has waited for room, and returns its ticket. Hands the
    /// message back if too many changes of its key are queued; the caller then counts as waiting
    /// until it [gives up](Self::give_up_room).
    pub(crate) fn enqueue(&mut self, message: Message<O>) -> Result<u64, Message<O>> {
        let ticket = self.queue.push(message, self.settings.max_per_key())?;
        self.waiting_for_room -= 1;
        Ok(ticket)
    }

    /// Removes a message from the queue, if it was not sent.
    pub(crate) fn withdraw(&mut self, ticket: u64, key: &SessionKey) -> Option<Message<O>> {
        self.queue.remove(ticket, key)
    }

    /// Returns the next batch, oldest messages first, if there are any and there is room in flight.
    /// The batch is in flight until [`batch_done`](Self::batch_done).
    pub(crate) fn next_batch(&mut self) -> Option<ReadyBatch<O>> {
        self.give_up_expired_singles();
        if !self.has_room_in_flight() {
            return None;
        }
        // The first message is sent however large it is.
        let first = self.queue.pop(usize::MAX, self.max_data_len)?;
        let mut bytes_left = self.settings.batch_bytes.saturating_sub(first.op.bytes());
        let mut messages = vec![first];
        while messages.len() < self.settings.batch_items
            && let Some(next) = self.queue.pop(bytes_left, self.max_data_len)
        {
            bytes_left -= next.op.bytes();
            messages.push(next);
        }
        self.batches += 1;
        Some(ReadyBatch { messages, ticket: self.queue.last_ticket() })
    }

    /// A batch of these keys is no longer in flight, whatever its outcome.
    pub(crate) fn batch_done(&mut self, keys: impl IntoIterator<Item = SessionKey>) {
        self.batches -= 1;
        for key in keys {
            self.queue.unlock(&key);
        }
    }

    /// An operation that its caller had sent is no longer in flight, whatever its outcome.
    pub(crate) fn single_done(&mut self, ticket: u64) {
        // It is absent if it was given up at its deadline.
        if let Some(position) = self.singles.iter().position(|single| single.ticket == ticket) {
            let single = self.singles.swap_remove(position);
            self.queue.unlock(&single.key);
        }
    }

    /// Admits no more operations. Those that wait are still sent.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
    }

    /// Empties the queue, because the runtime that would send the messages has shut down.
    pub(crate) fn abandon(&mut self) -> Vec<Message<O>> {
        self.queue.clear()
    }

    /// Returns true if it is closed, and nothing waits or is in flight.
    pub(crate) fn is_drained(&self) -> bool {
        // A message that waits for another change of its key needs no look: that change is ready or in
        // flight.
        self.is_closed
            && self.waiting_for_room == 0
            && self.queue.has_none_ready()
            && self.batches == 0
            && self.singles.is_empty()
    }

    fn has_room_in_flight(&self) -> bool {
        self.batches + self.singles.len() < self.settings.max_in_flight
    }

    /// Stops counting singles that are past their deadline as in flight. A caller that keeps its
    /// future without polling it never reports back, and must not block all others.
    fn give_up_expired_singles(&mut self) {
        while let Some(lost) = self.singles.iter().find(|single| Runtime::has_passed(single.deadline)) {
            self.single_done(lost.ticket);
        }
    }
}
