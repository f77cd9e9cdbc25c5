//! Waiting for events of a watch.

use std::{collections::HashSet, time::Duration};

use futures_util::StreamExt;
use session_core::{Event, EventStream, SessionKey};
use tokio::time::timeout;

use crate::failure::{Checked, Failure};

/// The timeout for an event on a busy machine. If an expiry needs a purge, the case requests it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn key_of(event: Event) -> Option<SessionKey> {
    match event {
        Event::Changed { key, .. } | Event::Deleted { key } | Event::Expired { key } => Some(key),
        _ => None,
    }
}

/// Waits for a matching event and skips others. Skipping a `Missed` does not count as a match.
pub(crate) async fn hear(
    events: &mut EventStream,
    what: &str,
    fits: impl Fn(Event) -> bool,
) -> Checked<Event> {
    let heard = timeout(PATIENCE, async {
        while let Some(event) = events.next().await {
            if fits(event) {
                return Ok(event);
            }
        }
        Err(Failure::new(format!("the stream ended before {what} was heard")))
    });
    heard.await.unwrap_or_else(|_| Err(Failure::new(format!("{what} was not heard within {PATIENCE:?}"))))
}

/// Waits until an event for each of these keys arrives, or a `Missed` that may stand for the rest.
pub(crate) async fn hear_all(
    events: &mut EventStream,
    keys: impl IntoIterator<Item = SessionKey>,
    what: &str,
) -> Checked {
    let mut waiting: HashSet<_> = keys.into_iter().collect();
    while !waiting.is_empty() {
        let event = hear(events, what, |event| event == Event::Missed || key_of(event).is_some()).await?;
        match key_of(event) {
            Some(key) => drop(waiting.remove(&key)),
            None => waiting.clear(),
        }
    }
    Ok(())
}

pub(crate) async fn hear_of(events: &mut EventStream, key: SessionKey, what: &str) -> Checked<Event> {
    hear(events, what, |event| key_of(event) == Some(key)).await
}
