//! A full queue makes callers wait, and never grows.

use std::time::Duration;

use session_backend::{BatchSettings, Batched};
use session_core::{Operation, WriteOutcome};
use tokio::{task::JoinHandle, time::Instant};

use crate::{
    gate::Gate,
    setup::{batched, begin_read, begin_write, data, key, written},
};

#[tokio::test]
async fn who_finds_the_queue_full_waits_for_a_place_in_turn() {
    let (store, gate) = batched(BatchSettings::default().max_in_flight(1).queue_capacity(2));
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
    let (store, gate) = batched(BatchSettings::default().max_in_flight(1).queue_capacity(2));
    let mut reads = Vec::new();
    for n in 0..3 {
        reads.push(begin_read(&store, n).await);
    }
    gate.admit(1);
    gate.call(2).await; // the two queued reads are in flight
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
    let (store, gate) = batched(BatchSettings::default().max_in_flight(1).queue_capacity(2));
    let first = begin_write(&store, 0, "first").await;
    for n in 1..=100 {
        let write = begin_write(&store, n, "given up").await;
        write.abort();
        assert!(write.await.expect_err("it was aborted").is_cancelled());
    }
    // Both places of the queue are free again, or these writes would not be sent together.
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

/// Begins a write of this many bytes of data. The operation's overhead adds 128 bytes.
async fn begin_large(
    store: &Batched<Gate>,
    n: u16,
    bytes: usize,
) -> JoinHandle<session_core::Result<WriteOutcome>> {
    begin_write(store, n, &"x".repeat(bytes)).await
}

#[tokio::test]
async fn the_queue_is_bounded_in_bytes_and_nothing_overtakes() {
    let (store, gate) = batched(BatchSettings::default().max_in_flight(1).queue_bytes(10_000));
    let mut writes = Vec::new();
    // The first write is sent, and two fit into the queue. The last one would fit, too, but it came
    // after one that does not fit.
    for (n, bytes) in [(0, 4_000), (1, 4_000), (2, 4_000), (3, 4_000), (4, 100)] {
        writes.push(begin_large(&store, n, bytes).await);
    }
    gate.open();
    for write in writes {
        written(write).await;
    }
    let batches: Vec<_> = gate.calls().into_iter().map(|call| call.keys).collect();
    assert_eq!(batches, [vec![key(0)], vec![key(1), key(2)], vec![key(3), key(4)]]);
}

#[tokio::test]
async fn an_operation_larger_than_the_queue_waits_until_it_is_empty() {
    let (store, gate) = batched(BatchSettings::default().max_in_flight(1).queue_bytes(10_000));
    let mut writes = Vec::new();
    for (n, bytes) in [(0, 1), (1, 1), (2, 50_000), (3, 1)] {
        writes.push(begin_large(&store, n, bytes).await);
    }
    gate.open();
    for write in writes {
        written(write).await;
    }
    let batches: Vec<_> = gate.calls().into_iter().map(|call| call.keys).collect();
    assert_eq!(batches, [0, 1, 2, 3].map(|n| vec![key(n)]));
}

#[tokio::test]
async fn callers_that_go_away_give_their_bytes_back() {
    let (store, gate) = batched(BatchSettings::default().max_in_flight(1).queue_bytes(10_000));
    let first = begin_write(&store, 0, "first").await;
    for n in 1..=100 {
        // The second write of each pair waits for room that the first one occupies.
        let given_up = (begin_large(&store, n, 9_000).await, begin_large(&store, n, 9_000).await);
        for write in [given_up.1, given_up.0] {
            write.abort();
            assert!(write.await.expect_err("it was aborted").is_cancelled());
        }
    }
    let last = (begin_large(&store, 101, 4_000).await, begin_large(&store, 102, 4_000).await);
    gate.admit(1);
    assert_eq!(gate.call(2).await.keys, [key(101), key(102)]);
    gate.open();
    for write in [first, last.0, last.1] {
        written(write).await;
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_for_bytes_ends_at_the_deadline() {
    let settings = BatchSettings::default().max_in_flight(1).queue_bytes(10_000);
    let (store, gate) = batched(settings.deadline(Duration::from_secs(1)));
    let (begun, mut writes) = (Instant::now(), Vec::new());
    for n in 0..3 {
        writes.push(begin_large(&store, n, 9_000).await);
    }
    let outside = writes.pop().expect("the last one").await.expect("no panic").expect_err("there is no room");
    assert!(!outside.may_have_applied(), "{outside:?}");
    assert_eq!(begun.elapsed(), Duration::from_secs(1));
    gate.open();
}

#[tokio::test]
async fn zero_turns_a_bound_off() {
    let settings = BatchSettings::default().max_in_flight(1).batch_items(0).batch_bytes(0);
    let (store, gate) = batched(settings.queue_capacity(0).queue_bytes(0));
    let mut writes = Vec::new();
    for n in 0..=200 {
        writes.push(begin_large(&store, n, 50_000).await);
    }
    gate.open();
    for write in writes {
        written(write).await;
    }
    let batches: Vec<_> = gate.calls().into_iter().map(|call| call.keys.len()).collect();
    assert_eq!(batches, [1, 200]);
}
