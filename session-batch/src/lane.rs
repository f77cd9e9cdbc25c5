use session_core::SessionKey;
use tokio::time::Instant;

use crate::{
    queue::Queue,
    runtime::Runtime,
    settings::BatchSettings,
    waiting::{Departing, Item, Waiting},
};

/// What becomes of an operation that arrives.
pub(crate) enum Arrival {
    /// It leaves at once and alone. It is under way until [`back_alone`](Lane::back_alone) gets this ticket.
    Leave(u64),
    /// It waits, outside until it has a place in the queue.
    Wait,
    /// Nothing is taken any more.
    Closed,
}

/// An operation that left alone. Its caller carries it.
struct Alone {
    ticket: u64,
    key: SessionKey,
    deadline: Instant,
}

/// Who of one kind of operation waits, who is under way, and the whole decision of who leaves when. Held under one lock; never waits itself.
pub(crate) struct Lane<I: Item> {
    settings: BatchSettings,
    /// How much data a record may have.
    largest: usize,
    closed: bool,
    /// How many callers wait for a place in the queue.
    outside: usize,
    pub(crate) queue: Queue<I>,
    /// How many batches are under way.
    batches: usize,
    /// What else is under way: with the batches, no more than there may be batches.
    alone: Vec<Alone>,
}

impl<I: Item> Lane<I> {
    pub(crate) fn new(settings: BatchSettings, largest: usize) -> Self {
        let alone = Vec::with_capacity(settings.in_flight);
        Self { settings, largest, closed: false, outside: 0, queue: Queue::new(), batches: 0, alone }
    }

    /// An operation arrives. It leaves at once if there is room, and if nobody waits who would be overtaken.
    pub(crate) fn arrive(&mut self, key: &SessionKey, deadline: Instant) -> Arrival {
        if self.closed {
            return Arrival::Closed;
        }
        let free = self.outside == 0 && self.queue.none_ready() && self.has_room();
        if !free || !self.queue.hold(key) {
            self.outside += 1;
            return Arrival::Wait;
        }
        let ticket = self.queue.ticket();
        self.alone.push(Alone { ticket, key: *key, deadline });
        Arrival::Leave(ticket)
    }

    /// One that waited outside goes away.
    pub(crate) fn leave_outside(&mut self) {
        self.outside -= 1;
    }

    /// One that waited outside has a place, and stands in the queue from now on, under the ticket that is returned. It stays outside if too
    /// many changes of its key stand there.
    pub(crate) fn enqueue(&mut self, waiting: Waiting<I>) -> Result<u64, Waiting<I>> {
        let ticket = self.queue.push(waiting, self.settings.per_key())?;
        self.outside -= 1;
        Ok(ticket)
    }

    /// Takes an operation out of the queue, if it was not sent.
    pub(crate) fn withdraw(&mut self, ticket: u64, key: &SessionKey) -> Option<Waiting<I>> {
        self.queue.remove(ticket, key)
    }

    /// The next batch, oldest first, if there is room for one and something to send. It is under way until [`back`](Self::back).
    pub(crate) fn next_batch(&mut self) -> Option<Departing<I>> {
        self.reclaim();
        if !self.has_room() {
            return None;
        }
        // The first one leaves however large it is.
        let first = self.queue.pop(usize::MAX, self.largest)?;
        let mut bytes_left = self.settings.batch_bytes.saturating_sub(first.item.bytes());
        let mut batch = vec![first];
        while batch.len() < self.settings.batch_items
            && let Some(next) = self.queue.pop(bytes_left, self.largest)
        {
            bytes_left -= next.item.bytes();
            batch.push(next);
        }
        self.batches += 1;
        Some(Departing { waiting: batch, ticket: self.queue.last_ticket() })
    }

    /// A batch with these keys is back, whatever came of it.
    pub(crate) fn back(&mut self, keys: impl IntoIterator<Item = SessionKey>) {
        self.batches -= 1;
        for key in keys {
            self.queue.release(&key);
        }
    }

    /// An operation that had left alone is back, whatever came of it.
    pub(crate) fn back_alone(&mut self, ticket: u64) {
        // It is not there if it was given up for lost.
        if let Some(place) = self.alone.iter().position(|alone| alone.ticket == ticket) {
            let alone = self.alone.swap_remove(place);
            self.queue.release(&alone.key);
        }
    }

    /// Takes no more operations. Those that wait, outside or in the queue, are still sent.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// Empties the queue, because nobody is left who could carry a batch.
    pub(crate) fn abandon(&mut self) -> Vec<Waiting<I>> {
        self.queue.clear()
    }

    /// Whether it is closed, nobody waits and nothing is under way.
    pub(crate) fn is_drained(&self) -> bool {
        // What waits for another change of its key need not be asked for: that one is ready or under way.
        self.closed
            && self.outside == 0
            && self.queue.none_ready()
            && self.batches == 0
            && self.alone.is_empty()
    }

    fn has_room(&self) -> bool {
        self.batches + self.alone.len() < self.settings.in_flight
    }

    /// Gives up for lost what left alone and is not back by its deadline. A caller that keeps its future and does not poll it cannot bring the
    /// operation back, and must not stop everybody else.
    fn reclaim(&mut self) {
        while let Some(lost) = self.alone.iter().find(|alone| Runtime::has_passed(alone.deadline)) {
            self.back_alone(lost.ticket);
        }
    }
}
