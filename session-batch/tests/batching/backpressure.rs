//! A queue that is full makes callers wait, and never grows.

use session_batch::BatchSettings;
use session_core::Operation;

use crate::setup::{batched, begin_read, begin_write, data, key, written};

#[tokio::test]
async fn who_finds_the_queue_full_waits_for_a_place_in_turn() {
    let (store, gate) = batched(BatchSettings::default().in_flight(1).queue(2));
    let mut reads = Vec::new();
    for n in 0..8 {
        reads.push(begin_read(&store, n).await);
    }
    gate.open();
    for read in reads {
        read.await.expect("no panic").expect("a read");
    }
    let batches: Vec<_> = gate.calls().into_iter().map(|call| call.keys).collect();
    assert!(batches.iter().all(|keys| keys.len() <= 2), "more than two waited: {batches:?}");
    assert_eq!(batches.concat(), (0..8).map(key).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_place_is_free_once_its_operation_is_sent() {
    let (store, gate) = batched(BatchSettings::default().in_flight(1).queue(2));
    let mut reads = Vec::new();
    for n in 0..3 {
        reads.push(begin_read(&store, n).await);
    }
    gate.admit(1);
    gate.call(2).await; // the two that waited are under way
    for n in 3..5 {
        reads.push(begin_read(&store, n).await);
    }
    gate.admit(1);
    assert_eq!(gate.call(3).await.keys, [key(3), key(4)]);
    gate.open();
    for read in reads {
        read.await.expect("no panic").expect("a read");
    }
}

#[tokio::test]
async fn callers_that_go_away_take_what_they_left_with_them() {
    let (store, gate) = batched(BatchSettings::default().in_flight(1).queue(2));
    let first = begin_write(&store, 0, "first").await;
    for n in 1..=100 {
        let write = begin_write(&store, n, "given up").await;
        write.abort();
        assert!(write.await.expect_err("it was aborted").is_cancelled());
    }
    // Both places of the queue are free again, or these would not leave together.
    let last = (begin_write(&store, 101, "a").await, begin_write(&store, 102, "b").await);
    gate.admit(1);
    let batch = gate.call(2).await;
    assert_eq!((batch.operation, batch.keys), (Operation::Write, vec![key(101), key(102)]));
    gate.open();
    for write in [first, last.0, last.1] {
        written(write).await;
    }
    assert_eq!(data(&store, 1).await, None);
}
