use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use session_backend::event_stream;
use session_core::{Event, EventStream};
use tokio::sync::{broadcast, watch};

/// The events of one table, shared by all stores of this process that use it. Without listeners,
/// reporting an event costs one atomic load.
#[derive(Debug)]
pub(crate) struct Events {
    capacity: usize,
    sender: OnceLock<broadcast::Sender<Event>>,
    listeners: Arc<AtomicUsize>,
}

/// One listener, counted as long as its stream lives.
#[derive(Debug)]
struct Listener(Arc<AtomicUsize>);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Events {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, sender: OnceLock::new(), listeners: Arc::default() }
    }

    /// Returns true if there are listeners now.
    pub(crate) fn wanted(&self) -> bool {
        self.listeners.load(Ordering::SeqCst) > 0
    }

    /// Reports a change. Must be called after the change is made and before its caller is answered.
    pub(crate) fn tell(&self, event: Event) {
        if !self.wanted() {
            return;
        }
        if let Some(sender) = self.sender.get() {
            // The last listener may just have left, which is not an error.
            let _ = sender.send(event);
        }
    }

    /// Returns a stream that ends when the store that `closed` belongs to is closed or dropped.
    pub(crate) fn subscribe(&self, closed: watch::Receiver<bool>) -> EventStream {
        let sender = self.sender.get_or_init(|| broadcast::channel(self.capacity).0);
        let events = sender.subscribe();
        self.listeners.fetch_add(1, Ordering::SeqCst);
        let listener = Listener(Arc::clone(&self.listeners));
        event_stream(events, closed, listener)
    }
}
