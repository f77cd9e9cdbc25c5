//! Every operation keeps its own deadline, and its error says exactly whether it may have been
//! applied.
//!
//! Time is paused in these tests, and jumps to the next deadline when all tasks are idle.

use std::time::Duration;

use session_backend::{BatchSettings, Batched};
use session_core::{ErrorKind, Operation, SessionStore, When};
use tokio::{
    task::JoinHandle,
    time::{Instant, advance},
};

use crate::{
    gate::{Gate, Keeper},
    setup::{batched, begin_read, begin_write, content, data, keep_unpolled, key, written},
};

const SECOND: Duration = Duration::from_secs(1);

fn with_a_second() -> (Batched<Gate>, Keeper) {
    batched(BatchSettings::default().max_in_flight(1).deadline(SECOND))
}

async fn kind<T: std::fmt::Debug>(operation: JoinHandle<session_core::Result<T>>) -> ErrorKind {
    operation.await.expect("no panic").expect_err("no answer came").kind()
}

const NOT_APPLIED: ErrorKind = ErrorKind::Unavailable { may_have_applied: false };
const UNKNOWN: ErrorKind = ErrorKind::Unavailable { may_have_applied: true };

#[tokio::test(start_paused = true)]
async fn one_that_was_sent_alone() {
    let (store, _gate) = with_a_second();
    let start = Instant::now();
    let (write, read) = (begin_write(&store, 1, "a").await, begin_read(&store, 1).await);
    assert_eq!((kind(write).await, kind(read).await), (UNKNOWN, NOT_APPLIED));
    assert!(start.elapsed() < 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn one_that_was_sent_in_a_batch() {
    let (store, gate) = with_a_second();
    let first = begin_write(&store, 0, "first").await;
    let batch = [begin_write(&store, 1, "a").await, begin_write(&store, 2, "b").await];
    gate.admit(1);
    written(first).await;
    for write in batch {
        assert_eq!(kind(write).await, UNKNOWN);
    }
    gate.open();
    // The slots and the keys are free.
    assert!(store.write(&key(1), content("again"), When::Any).await.expect("a write").is_written());
    assert_eq!(gate.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn one_that_waited_in_vain_was_not_sent() {
    let (store, gate) = batched(BatchSettings::default().max_in_flight(1).queue_capacity(2).deadline(SECOND));
    let _kept = keep_unpolled(&store, 1).await;
    // Two in the queue, one of them because of its key, and two waiting for room.
    let mut writes = Vec::new();
    for n in [1, 2, 3, 4] {
        writes.push(begin_write(&store, n, "in vain").await);
    }
    for write in writes {
        assert_eq!(kind(write).await, NOT_APPLIED);
    }
    gate.open();
    for n in 1..=4 {
        assert_eq!(data(&store, n).await, None);
    }
    assert!(gate.calls()[1..].iter().all(|call| call.operation == Operation::Read), "none was sent");
}

#[tokio::test(start_paused = true)]
async fn each_has_its_own() {
    let (store, gate) = with_a_second();
    let start = Instant::now();
    let first = begin_read(&store, 0).await;
    advance(SECOND / 4).await;
    let second = begin_read(&store, 1).await;
    advance(SECOND / 4).await;
    let third = begin_read(&store, 2).await;
    for (quarters, read) in (4..).zip([first, second, third]) {
        assert_eq!(kind(read).await, NOT_APPLIED);
        let passed = start.elapsed().as_millis();
        assert!(
            (quarters * 250..quarters * 250 + 10).contains(&passed),
            "{passed} ms after {quarters} quarters"
        );
    }
    // The batch of the second and third read was given up at the later of their deadlines.
    assert_eq!(gate.call(2).await.keys, [key(1), key(2)]);
    gate.open();
    store.read(&key(3)).await.expect("a read");
}

#[tokio::test(start_paused = true)]
async fn a_future_that_is_kept_and_not_polled_stops_nobody_else() {
    let (store, gate) = with_a_second();
    let _kept = keep_unpolled(&store, 1).await;
    // These wait for it: one because of its key, all because there is room for one batch.
    let early = begin_write(&store, 1, "early").await;
    advance(SECOND / 2).await;
    let late = begin_write(&store, 1, "late").await;
    assert_eq!(kind(early).await, NOT_APPLIED);
    gate.open();
    written(late).await;
    assert_eq!(data(&store, 1).await.as_deref(), Some("late"));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_beyond_all_bounds_is_a_day() {
    let (store, _gate) = batched(BatchSettings::default().deadline(Duration::MAX));
    let start = Instant::now();
    assert_eq!(kind(begin_write(&store, 1, "a").await).await, UNKNOWN);
    assert_eq!(start.elapsed().as_secs(), 24 * 60 * 60);
}
