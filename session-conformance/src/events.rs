//! Waiting for what a watch reports.

use std::{collections::HashSet, time::Duration};

use futures_util::StreamExt;
use session_core::{Event, EventStream, SessionKey};
use tokio::time::timeout;

use crate::failure::{Checked, Failure};

/// How long an event may take on a busy machine. The purge that an expiry can wait for is asked for in the case.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn key_of(event: Event) -> Option<SessionKey> {
    match event {
        Event::Changed { key, .. } | Event::Deleted { key } | Event::Expired { key } => Some(key),
        _ => None,
    }
}

/// Waits for an event that fits, passing over others. A `Missed` on the way does not count as having heard it.
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

/// Waits until each of these keys was heard of, or a gap was reported that may have held the rest.
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
