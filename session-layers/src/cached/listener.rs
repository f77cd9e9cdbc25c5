use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::StreamExt;
use session_core::{ErrorKind, EventStream, SessionStore};

use super::{outage::Outage, runtime::Runtime, table::Table};

/// The initial and the longest pause between two attempts to subscribe.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Subscribes to the store's watch while the store exists, and opens and closes the cache
/// accordingly.
///
/// Holds the store only while it subscribes, so that an unused store can be dropped.
pub(crate) async fn listen<S: SessionStore>(store: Weak<S>, table: Arc<Table>) {
    let _guard = CloseOnDrop(&table);
    let (mut pause, mut outage) = (PAUSES.0, Outage::default());
    loop {
        let stream = {
            let Some(store) = store.upgrade() else { return };
            let Some(watch) = store.watch() else { return };
            watch.subscribe().await
        };
        match stream {
            Ok(mut events) => {
                table.open();
                outage.is_over(&table);
                pause = PAUSES.0;
                let reason = hear(&mut events, &table, &mut outage).await;
                table.close();
                outage.goes_on(&table, reason);
            }
            Err(error) if error.kind() == ErrorKind::Closed => return,
            Err(error) => outage.goes_on(&table, &error.to_string()),
        }
        Runtime::sleep(pause).await;
        pause = (2 * pause).min(PAUSES.1);
    }
}

/// Applies the events until the stream ends, or until an event is overdue. Returns the reason.
async fn hear(events: &mut EventStream, table: &Table, outage: &mut Outage) -> &'static str {
    let limit = table.max_staleness / 2;
    loop {
        match Runtime::within(limit / 4, events.next()).await {
            Some(Some(event)) => {
                let was_whole = table.epoch.current().is_some();
                table.hear(event);
                if !was_whole && table.epoch.current().is_some() {
                    outage.is_over(table);
                }
            }
            Some(None) => return "the store's events have ended",
            None => {}
        }
        if table.epoch.current().is_none() {
            outage.goes_on(table, "the store's watch is interrupted");
        }
        if table.lag.is_overdue(|| table.clock.now(), limit) {
            return "a change that was made through this cache was not told of";
        }
    }
}

/// Closes the cache when the listening task ends, for whatever reason.
struct CloseOnDrop<'a>(&'a Table);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}
