use std::sync::Arc;

use futures_util::StreamExt;
use session_core::{
    Error, ErrorKind, Event, EventStream, Operation, Result, SessionStore, Watch, async_trait,
};

use super::{counters::Count, store::Cached, table::Table};

/// The watch of the wrapped store.
///
/// The cache drops the entry of an event's session before it passes the event on, so that a
/// listener which then reads finds the change. A session with a listener therefore loses its entry,
/// also after changes through this cache.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: SessionStore + 'static> Watch for Cached<S> {
    async fn subscribe(&self) -> Result<EventStream> {
        let watch =
            self.inner.store.watch().ok_or_else(|| Error::new(ErrorKind::Unsupported, Operation::Watch))?;
        let (events, table) = (watch.subscribe().await?, Arc::clone(&self.inner.table));
        Ok(events.inspect(move |event| forget(&table, event)).boxed())
    }

    fn hears_all_nodes(&self) -> bool {
        self.inner.store.watch().is_some_and(Watch::hears_all_nodes)
    }
}

fn forget(table: &Table, event: &Event) {
    match event {
        Event::Changed { key, .. } | Event::Deleted { key } | Event::Expired { key } => {
            table.invalidate(key, Count::Changed);
        }
        // Any record may have changed.
        _ => table.flush(),
    }
}
