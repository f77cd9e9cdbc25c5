use std::pin::Pin;

use async_trait::async_trait;
use futures_core::Stream;

use crate::{Result, SessionKey, Version};

/// A subscription to the changes that any node makes, by which caches stay current.
///
/// # Contract
/// This is promise 14 of [`SessionStore`](crate::SessionStore#14-watch).
///
/// # Example
///
/// What a cache does with the events:
///
/// ```
/// use std::collections::HashMap;
/// use futures_util::StreamExt;
/// use session_core::{Event, Record, Result, SessionKey, Watch};
///
/// async fn keep_honest(watch: &dyn Watch, cache: &mut HashMap<SessionKey, Record>) -> Result<()> {
///     let mut events = watch.subscribe().await?;
///     while let Some(event) = events.next().await {
///         match event {
///             Event::Changed { key, .. } | Event::Deleted { key } | Event::Expired { key } => drop(cache.remove(&key)),
///             Event::Interrupted | Event::Missed => cache.clear(), // anything may have changed
///             _ => cache.clear(),
///         }
///     }
///     Ok(())
/// }
/// ```
#[async_trait]
pub trait Watch: Send + Sync {
    /// Subscribes to changes. Every change that takes effect after this has returned is reported.
    ///
    /// The stream ends when the store is closed. Dropping the stream ends the subscription.
    ///
    /// # Errors
    /// As [`SessionStore::read`](crate::SessionStore::read). Always
    /// [`Closed`](crate::ErrorKind::Closed) after [`close`](crate::SessionStore::close).
    /// [`Config`](crate::ErrorKind::Config) if the server, or a proxy before it, does not let this
    /// client listen.
    async fn subscribe(&self) -> Result<EventStream>;

    /// Returns true if the changes of *all* nodes are reported, including those of other processes.
    /// Provided: true.
    ///
    /// A store whose engine cannot report the changes of other processes returns false. A cache
    /// then does not stay current by its events alone.
    fn hears_all_nodes(&self) -> bool {
        true
    }
}

/// What [`Watch::subscribe`] returns.
pub type EventStream = Pin<Box<dyn Stream<Item = Event> + Send>>;

/// Something that may have happened in the store, and that a read already reflects: see [promise
/// 14](crate::SessionStore#14-watch).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The record may have been written, renamed to this key, or touched.
    Changed {
        /// The record's key.
        key: SessionKey,
        /// The version that the record then had, if the engine reports it. A writer recognises its
        /// own change by it.
        version: Option<Version>,
    },
    /// The record may have been deleted, or renamed away from this key.
    Deleted {
        /// The record's key.
        key: SessionKey,
    },
    /// The record may have expired. Can arrive late: when the space is freed.
    Expired {
        /// The record's key.
        key: SessionKey,
    },
    /// The stream lost its source. From here on, changes may go unreported until a
    /// [`Missed`](Event::Missed).
    Interrupted,
    /// Any number of changes before this event may have gone unreported. From here on, all are
    /// reported again. Sent after an interruption, and when the listener was too slow.
    Missed,
}
