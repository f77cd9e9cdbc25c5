use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::StreamExt;
use session_core::{ErrorKind, EventStream, SessionStore};

use super::{l1::L1, outage::Outage, runtime::Runtime};

/// The pause before the first and before the fifth attempt to listen anew.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Listens to the store as long as there is one, and opens and closes the cache accordingly.
///
/// Holds the store only while it asks for a stream, so that a store that nobody uses can go.
pub(crate) async fn listen<S: SessionStore>(store: Weak<S>, l1: Arc<L1>) {
    let _guard = CloseOnDrop(&l1);
    let (mut pause, mut outage) = (PAUSES.0, Outage::default());
    loop {
        let stream = {
            let Some(store) = store.upgrade() else { return };
            let Some(watch) = store.watch() else { return };
            watch.subscribe().await
        };
        match stream {
            Ok(mut events) => {
                l1.open();
                outage.is_over(&l1);
                pause = PAUSES.0;
                let reason = hear(&mut events, &l1, &mut outage).await;
                l1.close();
                outage.goes_on(&l1, reason);
            }
            Err(error) if error.kind() == ErrorKind::Closed => return,
            Err(error) => outage.goes_on(&l1, &error.to_string()),
        }
        Runtime::sleep(pause).await;
        pause = (2 * pause).min(PAUSES.1);
    }
}

/// Acts upon the events until there are no more, or until something should have been heard and was
/// not. Returns which.
async fn hear(events: &mut EventStream, l1: &L1, outage: &mut Outage) -> &'static str {
    let limit = l1.max_staleness / 2;
    loop {
        match Runtime::within(limit / 4, events.next()).await {
            Some(Some(event)) => {
                let was_whole = l1.gate.epoch().is_some();
                l1.hear(event);
                if !was_whole && l1.gate.epoch().is_some() {
                    outage.is_over(l1);
                }
            }
            Some(None) => return "the store's events have ended",
            None => {}
        }
        if l1.gate.epoch().is_none() {
            outage.goes_on(l1, "the store's watch is interrupted");
        }
        if l1.lag.is_overdue(|| l1.clock.now(), limit) {
            return "a change that was made through this cache was not told of";
        }
    }
}

/// Whatever ends the task, nobody listens any more.
struct CloseOnDrop<'a>(&'a L1);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}
