//! Fairness, the order of changes of one key, equal reads, and read-your-writes.

use session_backend::BatchSettings;
use session_core::{ErrorKind, SessionKey, SessionStore, When};

use crate::setup::{batched, begin_read, begin_write, content, data, key, one_at_a_time, written};

#[tokio::test]
async fn who_came_first_leaves_first() {
    let (store, gate) = batched(BatchSettings::default().max_in_flight(1).batch_items(2));
    let mut reads = Vec::new();
    for n in [5, 3, 9, 1, 7, 2, 8] {
        reads.push(begin_read(&store, n).await);
    }
    gate.open();
    for read in reads {
        read.await.expect("no panic").expect("a read");
    }
    let keys: Vec<SessionKey> = gate.calls().into_iter().flat_map(|call| call.keys).collect();
    assert_eq!(keys, [5, 3, 9, 1, 7, 2, 8].map(key));
}

#[tokio::test]
async fn who_arrives_does_not_overtake_who_waits_for_a_place() {
    let (store, gate) = batched(BatchSettings::default().max_in_flight(2).queue_capacity(1));
    // One write is sent, one is queued behind it and fills the queue, and one waits for room.
    let mut writes = Vec::new();
    for n in [1, 1, 1, 2] {
        writes.push(begin_write(&store, n, "a").await);
    }
    // The last write could be sent, but would overtake the others.
    assert_eq!(gate.calls().len(), 1);
    gate.open();
    for write in writes {
        written(write).await;
    }
    assert_eq!(gate.calls().last().expect("some").keys, [key(2)]);
}

#[tokio::test]
async fn changes_of_one_key_keep_their_order_and_never_meet() {
    let (store, gate) = batched(BatchSettings::default().max_in_flight(4));
    let mut writes = Vec::new();
    for n in 0..200 {
        // Three keys in rotation.
        writes.push(begin_write(&store, n % 3, &format!("{n}")).await);
    }
    gate.open();
    for (n, write) in writes.into_iter().enumerate() {
        written(write).await;
        let written = data(&store, u16::try_from(n % 3).expect("small")).await.expect("it is there");
        assert!(written.parse::<usize>().expect("a number") >= n, "{written} after {n}");
    }
    for (n, last) in [(0, "198"), (1, "199"), (2, "197")] {
        assert_eq!(data(&store, n).await.as_deref(), Some(last));
    }
    assert_eq!(gate.shared_keys(), 0);
}

#[tokio::test]
async fn a_key_that_many_change_keeps_nobody_else_waiting() {
    let (store, gate) = one_at_a_time();
    let mut writes = vec![begin_write(&store, 0, "first").await];
    for _ in 0..1_000 {
        writes.push(begin_write(&store, 0, "again").await);
    }
    let other = begin_write(&store, 1, "other").await;
    gate.admit(1);
    assert_eq!(gate.call(2).await.keys, [key(0), key(1)]);
    gate.open();
    written(other).await;
    for write in writes {
        written(write).await;
    }
}

#[tokio::test]
async fn a_key_cannot_take_up_the_whole_queue() {
    let (store, gate) = batched(BatchSettings::default().max_in_flight(1).queue_capacity(4_000));
    let mut writes = Vec::new();
    for _ in 0..=500 {
        writes.push(begin_write(&store, 0, "again").await);
    }
    let error = store.write(&key(0), content("too many"), When::Any).await.expect_err("no place");
    assert_eq!(error.kind(), ErrorKind::Unavailable { may_have_applied: false });
    writes.push(begin_write(&store, 1, "other").await);
    gate.open();
    for write in writes {
        written(write).await;
    }
}

#[tokio::test]
async fn equal_reads_share_a_slot() {
    let (store, gate) = one_at_a_time();
    let write = begin_write(&store, 2, "two").await;
    gate.admit(1);
    written(write).await;
    let mut reads = Vec::new();
    for n in [1, 2, 3, 2, 2, 3] {
        reads.push((n, begin_read(&store, n).await));
    }
    gate.open();
    for (n, read) in reads {
        let record = read.await.expect("no panic").expect("a read");
        assert_eq!(record.map(|record| record.data), (n == 2).then(|| "two".into()), "{n}");
    }
    assert_eq!(gate.calls()[2].keys, [key(2), key(3)]);
}

#[tokio::test]
async fn a_read_does_not_join_one_that_was_sent() {
    let (store, gate) = one_at_a_time();
    let mut reads = vec![begin_read(&store, 0).await, begin_read(&store, 1).await];
    gate.admit(1);
    gate.call(2).await; // the read of key 1 was sent, and may have been answered by the store
    reads.push(begin_read(&store, 1).await);
    gate.open();
    for read in reads {
        read.await.expect("no panic").expect("a read");
    }
    let keys: Vec<SessionKey> = gate.calls().into_iter().flat_map(|call| call.keys).collect();
    assert_eq!(keys, [key(0), key(1), key(1)], "it was asked for again");
}
