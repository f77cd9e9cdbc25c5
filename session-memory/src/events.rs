use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::{StreamExt, stream};
use parking_lot::RwLock;
use session_core::{Event, EventStream};
use tokio::sync::broadcast::{self, error::RecvError};

/// The event hub of one store. Without listeners, an event costs one atomic load.
#[derive(Debug)]
pub(crate) struct Events {
    capacity: usize,
    channel: RwLock<Channel>,
    listeners: Arc<AtomicUsize>,
}

/// Created for the first listener, because the channel allocates its whole capacity.
#[derive(Debug)]
enum Channel {
    Unused,
    Open(broadcast::Sender<Event>),
    Closed,
}

/// One listener, counted as long as its stream lives.
#[derive(Debug)]
struct Listener {
    events: broadcast::Receiver<Event>,
    listeners: Arc<AtomicUsize>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.listeners.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Events {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, channel: RwLock::new(Channel::Unused), listeners: Arc::default() }
    }

    /// Reports a change. Must be called after the change was made, and before its caller is told.
    pub(crate) fn tell(&self, event: Event) {
        if self.listeners.load(Ordering::SeqCst) == 0 {
            return;
        }
        if let Channel::Open(sender) = &*self.channel.read() {
            // The last listener may just have gone; that is no failure.
            let _ = sender.send(event);
        }
    }

    /// A stream of the events from now on; `None` if the store was closed.
    pub(crate) fn subscribe(&self) -> Option<EventStream> {
        let events = {
            let mut channel = self.channel.write();
            if let Channel::Unused = *channel {
                *channel = Channel::Open(broadcast::channel(self.capacity).0);
            }
            match &*channel {
                Channel::Open(sender) => sender.subscribe(),
                _ => return None,
            }
        };
        self.listeners.fetch_add(1, Ordering::SeqCst);
        let listener = Listener { events, listeners: Arc::clone(&self.listeners) };
        let stream = stream::unfold(listener, |mut listener| async move {
            match listener.events.recv().await {
                Ok(event) => Some((event, listener)),
                Err(RecvError::Lagged(_)) => Some((Event::Missed, listener)),
                Err(RecvError::Closed) => None,
            }
        });
        Some(stream.fuse().boxed())
    }

    /// Ends all streams, once they have delivered the events that are queued.
    pub(crate) fn close(&self) {
        *self.channel.write() = Channel::Closed;
    }
}
