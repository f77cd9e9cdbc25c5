//! Closing: queued operations are still sent, new ones are rejected.

use std::time::Duration;

use session_backend::BatchSettings;
use session_core::{ErrorKind, Expected, Operation, SessionStore, When};
use tokio::{task::yield_now, time::Instant};

use crate::setup::{
    batched, begin, begin_read, begin_write, content, data, keep_unpolled, key, one_at_a_time, ttl, written,
};

#[tokio::test]
async fn while_full() {
    let (store, gate) = batched(BatchSettings::default().max_in_flight(1).queue_capacity(2));
    let mut writes = Vec::new();
    // One in flight, two in the queue, and three waiting for room. Two pairs have the same key.
    for n in [0, 1, 1, 2, 3, 0] {
        writes.push(begin_write(&store, n, "a").await);
    }
    let close = begin({
        let store = store.clone();
        async move { store.close().await }
    })
    .await;
    let error = store.write(&key(9), content("late"), When::Any).await.expect_err("it is closing");
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(!close.is_finished());
    gate.open();
    for write in writes {
        written(write).await;
    }
    close.await.expect("no panic").expect("it closes");
    let last = gate.calls().pop().expect("many");
    assert_eq!(last.operation, Operation::Close, "the store within closes last");
    assert_eq!(data(&store, 9).await, None);
}

#[tokio::test]
async fn refuses_every_kind_and_can_be_repeated() {
    let (store, gate) = one_at_a_time();
    gate.open();
    store.close().await.expect("it closes");
    store.close().await.expect("it is closed");
    let kinds = [
        store.read(&key(1)).await.expect_err("closed").kind(),
        store.write(&key(1), content("a"), When::Any).await.expect_err("closed").kind(),
        store.touch(&key(1), ttl()).await.expect_err("closed").kind(),
        store.delete(&key(1), Expected::Any).await.expect_err("closed").kind(),
    ];
    assert_eq!(kinds, [ErrorKind::Closed; 4]);
    assert!(gate.calls().iter().all(|call| call.operation == Operation::Close));
}

#[tokio::test(start_paused = true)]
async fn ends_when_the_last_that_waited_goes_away() {
    for order in [[1, 2, 0], [2, 1, 0]] {
        let (store, gate) = batched(BatchSettings::default().max_in_flight(1).queue_capacity(1));
        let start = Instant::now();
        // One in flight, one in the queue, and one waiting for room.
        let reads = [begin_read(&store, 0).await, begin_read(&store, 1).await, begin_read(&store, 2).await];
        let close = begin({
            let store = store.clone();
            async move { store.close().await }
        })
        .await;
        for n in order {
            assert!(!close.is_finished());
            reads[n].abort();
            yield_now().await;
        }
        close.await.expect("no panic").expect("it closes");
        assert!(start.elapsed() < Duration::from_secs(1), "it waited for a deadline");
        let operations: Vec<Operation> = gate.calls().into_iter().map(|call| call.operation).collect();
        assert_eq!(operations, [Operation::Read, Operation::Close]);
    }
}

#[tokio::test(start_paused = true)]
async fn gives_up_at_the_deadline() {
    let (store, gate) = batched(BatchSettings::default().deadline(Duration::from_secs(3)));
    let _kept = keep_unpolled(&store, 1).await;
    let start = Instant::now();
    let error = store.close().await.expect_err("one is under way, and its caller does not go on");
    assert_eq!(error.kind(), ErrorKind::Unavailable { may_have_applied: false });
    assert_eq!(start.elapsed().as_secs(), 3);
    assert_eq!(gate.calls()[1].operation, Operation::Close, "the store within is closed all the same");
}
