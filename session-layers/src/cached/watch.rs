use std::sync::Arc;

use futures_util::StreamExt;
use session_core::{
    Error, ErrorKind, Event, EventStream, Operation, Result, SessionStore, Watch, async_trait,
};

use super::{counters::Count, l1::L1, store::Cached};

/// The watch of the store within. What an event is about goes from the cache before the event is passed on, so that a listener which reads then finds
/// the change. That costs a session which is listened to its entry, also for changes through this cache.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: SessionStore + 'static> Watch for Cached<S> {
    async fn subscribe(&self) -> Result<EventStream> {
        let watch =
            self.inner.store.watch().ok_or_else(|| Error::new(ErrorKind::Unsupported, Operation::Watch))?;
        let (events, l1) = (watch.subscribe().await?, Arc::clone(&self.inner.l1));
        Ok(events.inspect(move |event| forget(&l1, event)).boxed())
    }

    fn hears_all_nodes(&self) -> bool {
        self.inner.store.watch().is_some_and(Watch::hears_all_nodes)
    }
}

fn forget(l1: &L1, event: &Event) {
    match event {
        Event::Changed { key, .. } | Event::Deleted { key } | Event::Expired { key } => {
            l1.invalidate(key, Count::Changed);
        }
        // Anything may have changed.
        _ => l1.flush(),
    }
}
