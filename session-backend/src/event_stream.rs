use futures_util::{StreamExt, stream};
use session_core::{Event, EventStream};
use tokio::sync::{
    broadcast::{self, error::RecvError},
    watch,
};

/// The stream of one subscriber of a store's watch.
///
/// A subscriber that falls behind gets [`Event::Missed`]. The stream ends when `closed` becomes true,
/// when the store that `closed` belongs to is dropped, or when no sender of events is left. It holds
/// `guard` until it is dropped, such as the task that receives the events.
pub fn event_stream(
    events: broadcast::Receiver<Event>,
    closed: watch::Receiver<bool>,
    guard: impl Send + 'static,
) -> EventStream {
    stream::unfold((events, closed, guard), |(mut events, mut closed, guard)| async move {
        let event = tokio::select! {
            biased;
            event = events.recv() => event,
            // An error means that the last handle was dropped.
            _ = closed.wait_for(|closed| *closed) => return None,
        };
        let event = match event {
            Ok(event) => event,
            Err(RecvError::Lagged(_)) => Event::Missed,
            Err(RecvError::Closed) => return None,
        };
        Some((event, (events, closed, guard)))
    })
    .fuse()
    .boxed()
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_gap_is_told_and_closing_ends_what_was_delivered() {
        let (sender, events) = broadcast::channel(1);
        let (closing, closed) = watch::channel(false);
        let mut stream = event_stream(events, closed, ());
        sender.send(Event::Interrupted).expect("there is a receiver");
        sender.send(Event::Interrupted).expect("there is a receiver");
        assert_eq!(stream.next().await, Some(Event::Missed));
        closing.send_replace(true);
        assert_eq!(stream.next().await, Some(Event::Interrupted), "it was sent before");
        assert_eq!(stream.next().await, None);
        assert_eq!(stream.next().await, None, "it stays at its end");
    }
}
