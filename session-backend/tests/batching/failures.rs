//! A store that fails, panics or miscounts, and a runtime that ends.

use std::{thread, time::Duration};

use session_core::{Error, ErrorKind, Expected, SessionStore, When, WriteOutcome};
use tokio::runtime;

use crate::{
    gate::Plan,
    setup::{begin, begin_read, begin_write, content, data, key, one_at_a_time, ttl, written},
};

const NOT_APPLIED: ErrorKind = ErrorKind::Unavailable { may_have_applied: false };
const UNKNOWN: ErrorKind = ErrorKind::Unavailable { may_have_applied: true };

#[tokio::test]
async fn of_one_that_was_sent_alone() {
    let (store, gate) = one_at_a_time();
    gate.open();
    for (number, plan) in (1..).zip([Plan::Panic, Plan::Fail]) {
        gate.plan(plan);
        let error = store.write(&key(1), content("a"), When::Any).await.expect_err("as planned");
        assert_eq!(error.kind(), UNKNOWN, "{plan:?}");
        gate.plan(plan);
        store.read(&key(1)).await.expect_err("as planned");
        // The slot and the key are free again, so this does not wait.
        assert!(store.write(&key(1), content("a"), When::Any).await.expect("a write").is_written());
        assert_eq!(gate.calls().len(), 3 * number);
        assert!(gate.calls().iter().all(|call| call.single));
    }
    gate.plan(Plan::Panic);
    let error = store.read(&key(1)).await.expect_err("as planned");
    assert_eq!(error.kind(), NOT_APPLIED, "a read changes nothing");
}

#[tokio::test]
async fn of_a_batch() {
    for plan in [Plan::Panic, Plan::Fail, Plan::Miscount] {
        let (store, gate) = one_at_a_time();
        let first = begin_write(&store, 0, "first").await;
        let mut batch = Vec::new();
        for n in 1..=3 {
            batch.push(begin_write(&store, n, "a").await);
        }
        gate.admit(1);
        written(first).await;
        let next = begin_write(&store, 1, "next").await;
        gate.plan(plan);
        gate.open();
        for write in batch {
            let error = write.await.expect("no panic here").expect_err("as planned");
            assert_eq!(error.kind(), UNKNOWN, "{plan:?}");
        }
        // The key and the slot are free.
        written(next).await;
        assert_eq!(data(&store, 1).await.as_deref(), Some("next"), "{plan:?}");
        assert!(store.write(&key(2), content("b"), When::Any).await.expect("a write").is_written());
        store.close().await.expect("nothing is left behind");
    }
}

#[tokio::test]
async fn of_a_batch_of_reads_changes_nothing() {
    for plan in [Plan::Panic, Plan::Miscount] {
        let (store, gate) = one_at_a_time();
        let reads = [
            begin_read(&store, 0).await,
            begin_read(&store, 1).await,
            begin_read(&store, 1).await,
            begin_read(&store, 2).await,
        ];
        gate.admit(1);
        gate.call(2).await;
        gate.plan(plan);
        gate.open();
        let mut reads = reads.into_iter();
        reads.next().expect("four").await.expect("no panic").expect("a read");
        for read in reads {
            let error: Error = read.await.expect("no panic here").expect_err("as planned");
            assert_eq!(error.kind(), NOT_APPLIED, "{plan:?}");
        }
    }
}

#[tokio::test]
async fn one_bad_item_among_good_ones() {
    let (store, gate) = one_at_a_time();
    let first = begin_write(&store, 0, "first").await;
    let good = begin_write(&store, 1, "good").await;
    let too_large = begin_write(&store, 2, &"x".repeat(store.max_data_len() + 1)).await;
    let conflict = {
        let store = store.clone();
        begin(async move { store.write(&key(3), content("lost"), When::Version(content("").version)).await })
            .await
    };
    let also_good = begin_write(&store, 4, "also good").await;
    gate.open();
    written(first).await;
    written(good).await;
    let error = too_large.await.expect("no panic").expect_err("too large");
    assert!(matches!(error.kind(), ErrorKind::TooLarge { .. }), "{error}");
    assert_eq!(conflict.await.expect("no panic").expect("an outcome"), WriteOutcome::Conflict(None));
    written(also_good).await;
    assert_eq!(gate.calls()[1].keys, [1, 2, 3, 4].map(key), "they were sent together");
}

#[tokio::test]
async fn each_is_told_its_own_outcome() {
    let (store, gate) = one_at_a_time();
    gate.admit(2);
    for n in [1, 3] {
        assert!(store.write(&key(n), content("a"), When::Absent).await.expect("a write").is_written());
    }
    let (mut touches, mut deletes) = (Vec::new(), Vec::new());
    for n in 0..6 {
        let other = store.clone();
        touches.push(begin(async move { other.touch(&key(n), ttl()).await }).await);
        let other = store.clone();
        deletes.push(begin(async move { other.delete(&key(n + 10), Expected::Any).await }).await);
    }
    gate.open();
    for (n, touch) in touches.into_iter().enumerate() {
        assert_eq!(touch.await.expect("no panic").expect("a touch"), n == 1 || n == 3, "{n}");
    }
    for delete in deletes {
        assert_eq!(delete.await.expect("no panic").expect("a delete"), session_core::DeleteOutcome::Absent);
    }
}

/// The runtime that runs the batches ends, while callers live in another one.
#[test]
fn a_runtime_that_ends() {
    let carriers =
        runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let callers = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (store, gate) = carriers.block_on(async { one_at_a_time() });
    callers.block_on(async {
        let alone = begin_write(&store, 0, "alone").await;
        let sent = [begin_write(&store, 1, "sent").await, begin_write(&store, 2, "sent").await];
        gate.admit(1);
        written(alone).await;
        gate.call(2).await; // is in flight in the other runtime
        let waits = [begin_write(&store, 1, "waits").await, begin_write(&store, 3, "waits").await];
        thread::spawn(move || carriers.shutdown_timeout(Duration::from_secs(5))).join().expect("it ends");
        for write in sent {
            assert_eq!(write.await.expect("no panic").expect_err("nobody carries it").kind(), UNKNOWN);
        }
        for write in waits {
            assert_eq!(write.await.expect("no panic").expect_err("nobody carries it").kind(), NOT_APPLIED);
        }
        // Single operations still work. An operation that would have to queue gets an error.
        let alone = begin_write(&store, 1, "alone again").await;
        let waits = begin_write(&store, 1, "waits").await;
        gate.open();
        written(alone).await;
        let error = waits.await.expect("no panic").expect_err("nobody carries it");
        assert_eq!(error.kind(), NOT_APPLIED);
        assert!(error.to_string().contains("runtime"), "{error}");
        store.close().await.expect("nothing is left behind");
    });
}
