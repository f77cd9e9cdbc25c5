//! Any caller may be dropped at any point, without harm to the others.

use session_backend::BatchSettings;
use session_core::SessionStore;
use tokio::task::yield_now;

use crate::setup::{batched, begin_read, begin_write, data, key, one_at_a_time, written};

#[tokio::test]
async fn of_one_that_was_sent_alone() {
    let (store, gate) = one_at_a_time();
    let first = begin_write(&store, 1, "first").await;
    let next = begin_write(&store, 1, "next").await;
    first.abort();
    // The gate opens only now: the slot and the key are free because the caller was dropped.
    assert_eq!(gate.call(2).await.keys, [key(1)]);
    gate.open();
    written(next).await;
    assert_eq!(data(&store, 1).await.as_deref(), Some("next"));
}

#[tokio::test]
async fn of_one_that_waits() {
    let (store, gate) = one_at_a_time();
    let first = begin_write(&store, 1, "first").await;
    let (gone, same_key, other_key) = (
        begin_write(&store, 2, "gone").await,
        begin_write(&store, 2, "same key").await,
        begin_write(&store, 3, "other key").await,
    );
    let gone_while_another_is_before_it = begin_write(&store, 2, "gone").await;
    for gone in [gone, gone_while_another_is_before_it] {
        gone.abort();
        assert!(gone.await.expect_err("it was aborted").is_cancelled());
    }
    gate.open();
    for write in [first, same_key, other_key] {
        written(write).await;
    }
    assert_eq!(data(&store, 2).await.as_deref(), Some("same key"));
    let keys: Vec<_> = gate.calls()[..2].iter().map(|call| call.keys.clone()).collect();
    assert_eq!(keys, [vec![key(1)], vec![key(2), key(3)]], "what its caller gave up is not sent");
}

#[tokio::test]
async fn of_one_in_a_batch() {
    let (store, gate) = one_at_a_time();
    let first = begin_write(&store, 1, "first").await;
    let (gone, neighbour) = (begin_write(&store, 2, "gone").await, begin_write(&store, 3, "neighbour").await);
    gate.admit(1);
    gate.call(2).await;
    gone.abort();
    assert!(gone.await.expect_err("it was aborted").is_cancelled());
    gate.open();
    for write in [first, neighbour] {
        written(write).await;
    }
    assert_eq!(data(&store, 2).await.as_deref(), Some("gone"), "it was sent");
    written(begin_write(&store, 2, "again").await).await; // its key is free
}

#[tokio::test]
async fn of_one_that_waits_for_a_place() {
    let (store, gate) = batched(BatchSettings::default().max_in_flight(1).queue_capacity(1));
    let (first, queued) = (begin_read(&store, 0).await, begin_read(&store, 1).await);
    let (gone, outside) = (begin_read(&store, 2).await, begin_read(&store, 3).await);
    gone.abort();
    gate.open();
    for read in [first, queued, outside] {
        read.await.expect("no panic").expect("a read");
    }
    // No caller is counted as waiting for room any more: the next one is sent immediately.
    store.read(&key(4)).await.expect("a read");
    let keys: Vec<_> = gate.calls().into_iter().map(|call| call.keys).collect();
    assert_eq!(keys, [0, 1, 3, 4].map(|n| vec![key(n)]));
    assert!(gate.calls()[3].single);
}

/// Some callers are dropped, after every possible number of steps, while others stay.
#[tokio::test]
async fn of_any_at_any_point() {
    for steps in 0..12 {
        let (store, gate) =
            batched(BatchSettings::default().max_in_flight(2).batch_items(3).queue_capacity(4));
        let mut writes = Vec::new();
        for n in 0..30 {
            writes.push(begin_write(&store, n % 7, "a").await);
        }
        let mut stay = Vec::new();
        for (n, write) in writes.into_iter().enumerate() {
            if n % 3 == 0 {
                write.abort();
            } else {
                stay.push(write);
            }
            if n % 4 < steps % 4 {
                yield_now().await;
            }
            gate.admit(usize::from(n % 5 < steps / 2));
        }
        gate.open();
        for write in stay {
            written(write).await;
        }
        assert_eq!((gate.shared_keys(), gate.most_calls() <= 2), (0, true));
        store.close().await.expect("nothing is left behind");
    }
}
