use std::sync::Arc;

use futures_util::{StreamExt, stream};
use session_core::{Event, EventStream, Operation, Result, SessionStore, Watch, async_trait};
use tokio::sync::watch;

use super::{Link, forward::gone, road::event_takes_some_time};
use crate::Fault;

/// The events of the store, and the current fault of the link over which they arrive.
struct Listening {
    events: EventStream,
    fault: watch::Receiver<Option<Fault>>,
    /// Whether an event may be lost that the listener has not been told of yet.
    is_gap: bool,
}

#[async_trait]
impl Watch for Link {
    async fn subscribe(&self) -> Result<EventStream> {
        // Subscribed before the store is asked, so that no fault is missed.
        let fault = self.road.fault.subscribe();
        let operation = Operation::Watch;
        let subscribing = |store: Arc<dyn SessionStore>| async move {
            store.watch().ok_or_else(|| gone(operation))?.subscribe().await
        };
        let events = self.ask(operation, subscribing).await?;
        let is_gap = fault.has_changed().unwrap_or(false) || fault.borrow().is_some();
        let listening = Listening { events, fault, is_gap };
        Ok(stream::unfold(listening, Listening::next).boxed())
    }

    fn hears_all_nodes(&self) -> bool {
        self.store.watch().is_some_and(Watch::hears_all_nodes)
    }
}

impl Listening {
    /// Returns the next event that is not lost, or `Missed` if some were lost.
    async fn next(mut self) -> Option<(Event, Self)> {
        loop {
            let is_down = self.fault.borrow_and_update().is_some();
            if self.is_gap && !is_down {
                self.is_gap = false;
                return Some((Event::Missed, self));
            }
            tokio::select! {
                biased;
                changed = self.fault.changed() => {
                    // A link whose last handle was dropped can no longer break.
                    if changed.is_err() {
                        return self.events.next().await.map(|event| (event, self));
                    }
                    self.is_gap = true;
                }
                event = self.events.next() => match event {
                    Some(_) if is_down => self.is_gap = true,
                    Some(event) => {
                        event_takes_some_time().await;
                        return Some((event, self));
                    }
                    None => return None,
                },
            }
        }
    }
}
