//! When operations are sent, and which are sent together.

use futures_util::future::poll_immediate;
use session_backend::{BatchSettings, Batched};
use session_core::{ErrorKind, Expected, Operation, SessionStore, When};

use crate::{
    gate::{Call, Gate},
    setup::{batched, begin_read, begin_write, content, key, one_at_a_time, ttl, written},
};

fn single(operation: Operation, n: u16) -> Call {
    Call { operation, keys: vec![key(n)], single: true }
}

#[tokio::test]
async fn an_idle_store_sends_at_once() {
    let (store, gate) = one_at_a_time();
    gate.open();
    // Ready at the first poll: no task, timer or other caller took part.
    assert!(poll_immediate(store.write(&key(1), content("a"), When::Absent)).await.is_some());
    assert!(poll_immediate(store.read(&key(1))).await.is_some());
    assert!(poll_immediate(store.touch(&key(1), ttl())).await.is_some());
    assert!(poll_immediate(store.delete(&key(1), Expected::Any)).await.is_some());
    let operations = [Operation::Write, Operation::Read, Operation::Touch, Operation::Delete];
    assert_eq!(gate.calls(), operations.map(|operation| single(operation, 1)));
}

#[tokio::test]
async fn what_arrives_meanwhile_leaves_together() {
    let (store, gate) = one_at_a_time();
    let first = begin_read(&store, 1).await;
    let mut others = Vec::new();
    for n in 2..=100 {
        others.push(begin_read(&store, n).await);
    }
    assert_eq!(gate.calls(), [single(Operation::Read, 1)]);
    gate.open();
    first.await.expect("no panic").expect("a read");
    for other in others {
        assert_eq!(other.await.expect("no panic").expect("a read"), None);
    }
    let batch = Call { operation: Operation::Read, keys: (2..=100).map(key).collect(), single: false };
    assert_eq!(gate.calls()[1..], [batch]);
}

#[tokio::test]
async fn one_that_waited_by_itself_takes_the_plain_statement() {
    let (store, gate) = one_at_a_time();
    let (first, second) = (begin_write(&store, 1, "a").await, begin_write(&store, 2, "b").await);
    gate.open();
    written(first).await;
    written(second).await;
    assert_eq!(gate.calls()[1], single(Operation::Write, 2));
}

#[tokio::test]
async fn batches_are_bounded_in_items_and_in_number() {
    let (store, gate) = batched(BatchSettings::default().max_in_flight(3).batch_items(4));
    let mut reads = Vec::new();
    for n in 0..20 {
        reads.push(begin_read(&store, n).await);
    }
    assert_eq!(gate.calls().len(), 3, "three left alone, and filled the room");
    gate.open();
    for read in reads {
        read.await.expect("no panic").expect("a read");
    }
    let mut sizes: Vec<usize> = gate.calls().iter().map(|call| call.keys.len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 1, 1, 1, 4, 4, 4, 4]);
    assert_eq!(gate.most_calls(), 3);
}

#[tokio::test]
async fn batches_are_bounded_in_bytes() {
    let (store, gate) = batched(BatchSettings::default().max_in_flight(1).batch_bytes(3_000));
    let mut writes = Vec::new();
    for (n, len) in (0..).zip([1, 1_000, 1_000, 1_000, 9_000, 500]) {
        writes.push(begin_write(&store, n, &"x".repeat(len)).await);
    }
    gate.open();
    for write in writes {
        written(write).await;
    }
    let sizes: Vec<usize> = gate.calls().iter().map(|call| call.keys.len()).collect();
    // The first write was sent alone, two fit, the third did not, and the large one is sent alone.
    assert_eq!(sizes, [1, 2, 1, 1, 1]);
}

#[tokio::test]
async fn kinds_of_operations_do_not_wait_for_each_other() {
    let (store, gate) = one_at_a_time();
    let write = begin_write(&store, 1, "a").await;
    let waits = begin_write(&store, 2, "b").await;
    let read = begin_read(&store, 2).await;
    assert_eq!(gate.calls(), [single(Operation::Write, 1), single(Operation::Read, 2)]);
    gate.open();
    for write in [write, waits] {
        written(write).await;
    }
    read.await.expect("no panic").expect("a read");
}

#[tokio::test]
async fn it_can_be_turned_off() {
    let (store, gate) = batched(BatchSettings::disabled());
    let mut writes = Vec::new();
    for n in 0..10 {
        writes.push(begin_write(&store, n, "a").await);
    }
    assert_eq!(gate.calls().len(), 10, "all at once");
    assert!(gate.calls().iter().all(|call| call.single));
    gate.open();
    for write in writes {
        written(write).await;
    }
    store.close().await.expect("it closes");
}

#[test]
fn only_batching_needs_a_runtime() {
    let error = Batched::new(Gate::new().0, BatchSettings::default()).expect_err("there is no runtime");
    assert_eq!(error.kind(), ErrorKind::Config);
    Batched::new(Gate::new().0, BatchSettings::disabled()).expect("none is needed");
}
