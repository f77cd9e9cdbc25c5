use std::time::Duration;

use session_backend::{BatchSettings, Batched};
use session_core::{Result, SessionKey, SessionStore, Ttl, When, Write, WriteOutcome};
use shuttle::{
    future::{JoinHandle, spawn, yield_now},
    rand::{Rng, thread_rng},
};

use crate::watchful::Watchful;

/// A batched store with very small bounds, which vary from run to run.
pub(crate) struct Model {
    pub(crate) store: Batched<Watchful>,
    pub(crate) seen: Watchful,
}

impl Model {
    pub(crate) fn new(deadline: Duration) -> Self {
        // The bound in bytes: none, one operation, or three.
        let bytes = thread_rng().gen_range(0..3) * 200;
        Self::with_bounds(thread_rng().gen_range(1..4), bytes, deadline)
    }

    pub(crate) fn with_queue(queue: usize, deadline: Duration) -> Self {
        Self::with_bounds(queue, 0, deadline)
    }

    fn with_bounds(queue: usize, queue_bytes: usize, deadline: Duration) -> Self {
        let in_flight = thread_rng().gen_range(1..3);
        let settings = BatchSettings::default()
            .max_in_flight(in_flight)
            .batch_items(thread_rng().gen_range(1..3))
            .queue_capacity(queue)
            .queue_bytes(queue_bytes)
            .deadline(deadline);
        let seen = Watchful::new(in_flight);
        Self { store: Batched::new(seen.clone(), settings).expect("the model's runtime"), seen }
    }

    /// Begins a write. `key` is one of a few keys.
    pub(crate) fn write(&self, key: u8, data: &'static str) -> JoinHandle<Result<WriteOutcome>> {
        let store = self.store.clone();
        spawn(async move { store.write(&self::key(key), content(data), When::Any).await })
    }

    /// How often this data was written.
    pub(crate) fn times(&self, data: &'static str) -> usize {
        self.seen.seen().log.iter().filter(|(_, written)| written == data).count()
    }

    /// Closes the store, and retries while its deadline passes with operations in flight.
    pub(crate) async fn close(&self) {
        while self.store.close().await.is_err() {
            yield_now().await;
        }
    }

    /// Checks that the store can be closed, and that nothing happens afterwards.
    pub(crate) async fn finish(self) {
        self.close().await;
        let (log, under_way) = {
            let seen = self.seen.seen();
            (seen.log.len(), seen.under_way.values().sum::<usize>())
        };
        assert_eq!(under_way, 0, "closed while operations were under way");
        yield_now().await;
        assert_eq!(self.seen.seen().log.len(), log, "something happened after it was closed");
        let wrong = self.seen.seen().wrong.clone();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    /// Checks that the outcome reported to the caller is what became of the write.
    pub(crate) fn check(&self, data: &'static str, outcome: &Result<WriteOutcome>) {
        let times = self.times(data);
        match outcome {
            Ok(_) => assert_eq!(times, 1, "{data} was reported as written"),
            Err(error) if error.may_have_applied() => assert!(times <= 1, "{data} was written twice"),
            Err(error) => assert_eq!(times, 0, "{data} was written, and yet: {error}"),
        }
    }
}

pub(crate) const NEVER: Duration = Duration::from_hours(1);
/// A deadline that may pass at any point in the model.
pub(crate) const ANY_TIME: Duration = Duration::from_millis(1);

pub(crate) fn key(n: u8) -> SessionKey {
    SessionKey::from_bytes([n; SessionKey::LEN])
}

pub(crate) fn content(data: &'static str) -> Write {
    Write::new(data, Ttl::new(NEVER).expect("in range"))
}
