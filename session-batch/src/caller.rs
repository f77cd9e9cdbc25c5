use std::{mem, sync::Arc};

use session_core::{SessionKey, SessionStore};

use crate::{channel::Channel, kind::Kind, lane::Lane, waiting::Waiting};

/// A caller that waits. However it goes away, it leaves nothing behind in the lane, so that only those who wait take up memory.
pub(crate) struct Caller<'a, S: SessionStore + 'static, K: Kind> {
    channel: &'a Arc<Channel<S, K>>,
    key: SessionKey,
    whereabouts: Whereabouts,
}

enum Whereabouts {
    /// It has no place in the queue yet.
    Outside,
    /// It stands in the queue under this ticket, or was sent.
    InQueue(u64),
    /// The lane knows nothing of it any more.
    Gone,
}

impl<'a, S: SessionStore + 'static, K: Kind> Caller<'a, S, K> {
    /// A caller whose operation has arrived and has to wait.
    pub(crate) fn new(channel: &'a Arc<Channel<S, K>>, key: SessionKey) -> Self {
        Self { channel, key, whereabouts: Whereabouts::Outside }
    }

    /// Puts its operation into the queue. `false` if the queue does not take it.
    pub(crate) fn enqueue(&mut self, waiting: Waiting<K>) -> bool {
        // What is refused is dropped without the lock: a free place may wake another caller.
        let Ok(ticket) = self.channel.change(|lane| lane.enqueue(waiting)) else { return false };
        self.whereabouts = Whereabouts::InQueue(ticket);
        true
    }

    /// Its operation is back.
    pub(crate) fn answered(&mut self) {
        self.whereabouts = Whereabouts::Gone;
    }

    /// Takes its operation out of the queue. `false` if it was sent.
    pub(crate) fn withdraw(&mut self) -> bool {
        match mem::replace(&mut self.whereabouts, Whereabouts::Gone) {
            Whereabouts::Outside => {
                self.channel.change(Lane::leave_outside);
                true
            }
            Whereabouts::InQueue(ticket) => {
                self.channel.change(|lane| lane.withdraw(ticket, &self.key)).is_some()
            }
            Whereabouts::Gone => false,
        }
    }
}

impl<S: SessionStore + 'static, K: Kind> Drop for Caller<'_, S, K> {
    fn drop(&mut self) {
        self.withdraw();
    }
}
