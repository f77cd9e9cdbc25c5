//! Misses: which answers are cached, which reads share them, and what happens when callers are
//! dropped.

use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use session_core::{ErrorKind, Expected, Operation, SessionStore, When};

use super::{
    super::flaw::Flaw,
    lab::{catches, data, key, lab, settings, write},
};

#[tokio::test]
async fn what_was_read_before_a_deletion_elsewhere_is_not_kept() {
    catches(Flaw::FillWithoutGuard, |flaw| async move {
        let (cached, lab) = lab(settings(flaw)).await;
        let key = key();
        lab.elsewhere.write(&key, write("old"), When::Absent).await.expect("a write").is_written();
        lab.settle().await;
        lab.hold(Operation::Read, true);
        let reading = tokio::spawn({
            let cached = cached.clone();
            async move { data(&cached, &key).await }
        });
        lab.until_reached(Operation::Read, true, 1).await;
        let _ = lab.elsewhere.delete(&key, Expected::Any).await.expect("a delete");
        lab.settle().await;
        lab.release(Operation::Read, true);
        assert_eq!(reading.await.expect("no panic").as_deref(), Some("old"), "it began before");
        let kept = data(&cached, &key).await.is_none();
        assert!(!kept || cached.stats().discarded_fills == 1, "it is counted");
        kept
    })
    .await;
}

/// The read began while a deletion through this cache was in flight, before its effect.
#[tokio::test]
async fn what_was_read_during_a_deletion_is_not_kept() {
    catches(Flaw::DropsBeforeChange, |flaw| async move {
        let (cached, lab) = lab(settings(flaw)).await;
        let key = key();
        cached.write(&key, write("old"), When::Absent).await.expect("a write").is_written();
        lab.settle().await;
        lab.mute(true);
        lab.hold(Operation::Delete, false);
        let deleting = tokio::spawn({
            let cached = cached.clone();
            async move { cached.delete(&key, Expected::Any).await }
        });
        lab.until_reached(Operation::Delete, false, 1).await;
        assert_eq!(data(&cached, &key).await.as_deref(), Some("old"), "nothing has happened yet");
        assert_eq!(data(&cached, &key).await.as_deref(), Some("old"));
        lab.release(Operation::Delete, false);
        let _ = deleting.await.expect("no panic").expect("a delete");
        data(&cached, &key).await.is_none()
    })
    .await;
}

#[tokio::test]
async fn nobody_shares_an_answer_that_is_older_than_a_change_they_must_see() {
    catches(Flaw::JoinsOldReadings, |flaw| async move {
        let (cached, lab) = lab(settings(flaw)).await;
        let key = key();
        lab.elsewhere.write(&key, write("old"), When::Absent).await.expect("a write").is_written();
        lab.settle().await;
        lab.hold(Operation::Read, true);
        let read = || {
            let cached = cached.clone();
            tokio::spawn(async move { data(&cached, &key).await })
        };
        let before = read();
        lab.until_reached(Operation::Read, true, 1).await;
        let _ = cached.delete(&key, Expected::Any).await.expect("a delete");
        let after = read();
        // The second read asks the store, or waits for the first answer. Either way it has come far
        // enough when its task is idle.
        tokio::task::yield_now().await;
        lab.release(Operation::Read, true);
        assert_eq!(before.await.expect("no panic").as_deref(), Some("old"));
        after.await.expect("no panic").is_none()
    })
    .await;
}

#[tokio::test]
async fn a_thousand_misses_of_one_session_are_one_question() {
    let (cached, lab) = lab(settings(None)).await;
    let key = key();
    lab.elsewhere.write(&key, write("x"), When::Absent).await.expect("a write").is_written();
    lab.settle().await;
    lab.hold(Operation::Read, false);
    let readers: Vec<_> = (0..1_000)
        .map(|_| {
            let cached = cached.clone();
            tokio::spawn(async move { data(&cached, &key).await })
        })
        .collect();
    lab.until_reached(Operation::Read, false, 1).await;
    while cached.stats().shared < 999 {
        tokio::task::yield_now().await;
    }
    lab.release(Operation::Read, false);
    for found in join_all(readers).await {
        assert_eq!(found.expect("no panic").as_deref(), Some("x"));
    }
    assert_eq!(lab.reads(), 1);
    let many = vec![key; 10];
    assert!(cached.read_many(&many).await.into_iter().all(|found| found.is_ok_and(|found| found.is_some())));
    assert_eq!(lab.reads(), 1);
    assert_eq!(cached.inner.table.in_flight.len(), 0, "something was left behind");
}

#[tokio::test]
async fn a_batch_asks_for_what_is_missing_and_shares_what_is_asked() {
    let (cached, lab) = lab(settings(None)).await;
    let keys: Vec<_> = (0..8).map(|_| key()).collect();
    for key in &keys[..6] {
        lab.elsewhere.write(key, write("x"), When::Absent).await.expect("a write").is_written();
    }
    lab.settle().await;
    data(&cached, &keys[0]).await;
    lab.hold(Operation::Read, true);
    let single = tokio::spawn({
        let (cached, key) = (cached.clone(), keys[1]);
        async move { data(&cached, &key).await }
    });
    lab.until_reached(Operation::Read, true, 2).await;
    let batch = tokio::spawn({
        let (cached, keys) = (cached.clone(), [&keys[..], &keys[..]].concat());
        async move { cached.read_many(&keys).await }
    });
    lab.until_reached(Operation::Read, true, 3).await;
    lab.release(Operation::Read, true);
    assert_eq!(single.await.expect("no panic").as_deref(), Some("x"));
    let found: Vec<bool> =
        batch.await.expect("no panic").into_iter().map(|found| found.expect("a read").is_some()).collect();
    let expected = [true, true, true, true, true, true, false, false];
    assert_eq!(found, [expected, expected].concat());
    assert_eq!(lab.reads(), 8, "each key once");
}

#[tokio::test]
async fn who_asked_first_may_go_away() {
    let (cached, lab) = lab(settings(None)).await;
    let key = key();
    lab.elsewhere.write(&key, write("x"), When::Absent).await.expect("a write").is_written();
    lab.settle().await;
    lab.hold(Operation::Read, false);
    let first = tokio::spawn({
        let cached = cached.clone();
        async move { cached.read(&key).await }
    });
    lab.until_reached(Operation::Read, false, 1).await;
    let second = tokio::spawn({
        let cached = cached.clone();
        async move { data(&cached, &key).await }
    });
    while cached.stats().shared < 1 {
        tokio::task::yield_now().await;
    }
    first.abort();
    assert!(first.await.expect_err("it was aborted").is_cancelled());
    lab.release(Operation::Read, false);
    assert_eq!(second.await.expect("no panic").as_deref(), Some("x"));
    assert_eq!((lab.reads(), cached.inner.table.in_flight.len()), (1, 0));
}

#[tokio::test]
async fn errors_are_shared_and_not_kept() {
    let (cached, lab) = lab(settings(None)).await;
    let key = key();
    lab.elsewhere.write(&key, write("x"), When::Absent).await.expect("a write").is_written();
    lab.settle().await;
    lab.state.fails.store(true, Ordering::SeqCst);
    // All reads begin before there is an answer.
    lab.hold(Operation::Read, false);
    let reading = join_all((0..10).map(|_| cached.read(&key)));
    let releasing = async {
        while cached.stats().shared < 9 {
            tokio::task::yield_now().await;
        }
        lab.release(Operation::Read, false);
    };
    let (errors, ()) = tokio::join!(reading, releasing);
    for error in errors {
        assert_eq!(error.expect_err("it fails").kind(), ErrorKind::Unavailable { may_have_applied: false });
    }
    assert_eq!(lab.reads(), 1);
    lab.state.fails.store(false, Ordering::SeqCst);
    assert_eq!(data(&cached, &key).await.as_deref(), Some("x"));
}

/// The waiting readers ask the store themselves, and each meets the panic in its own call.
#[tokio::test]
async fn a_store_that_panics_leaves_nothing_behind() {
    let (cached, lab) = lab(settings(None)).await;
    let key = key();
    lab.elsewhere.write(&key, write("x"), When::Absent).await.expect("a write").is_written();
    lab.settle().await;
    lab.state.panics.store(true, Ordering::SeqCst);
    let reading = tokio::spawn({
        let cached = cached.clone();
        async move { cached.read(&key).await }
    });
    assert!(reading.await.expect_err("it panics").is_panic());
    assert_eq!(cached.inner.table.in_flight.len(), 0);
    lab.state.panics.store(false, Ordering::SeqCst);
    assert_eq!(data(&cached, &key).await.as_deref(), Some("x"));
}
