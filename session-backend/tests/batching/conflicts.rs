//! A conflict is reported to all queued writes that would meet it, without a round trip for each,
//! and to no other write.

use session_backend::Batched;
use session_core::{Result, SessionStore, Version, When, Write, WriteOutcome};
use tokio::task::JoinHandle;

use crate::{
    gate::Gate,
    setup::{begin, begin_write, content, data, key, one_at_a_time, written},
};

/// Begins a write of key number `n`, under this condition.
async fn begin_when(
    store: &Batched<Gate>,
    n: u16,
    write: Write,
    when: When,
) -> JoinHandle<Result<WriteOutcome>> {
    let store = store.clone();
    begin(async move { store.write(&key(n), write, when).await }).await
}

/// The version of the record that a write conflicted with; `None` if it was written.
async fn met(write: JoinHandle<Result<WriteOutcome>>) -> Option<Version> {
    match write.await.expect("no panic").expect("a write") {
        WriteOutcome::Conflict(record) => Some(record.expect("the record that is there").version),
        WriteOutcome::Written => None,
    }
}

#[tokio::test]
async fn all_who_wait_are_told_at_once() {
    let (store, gate) = one_at_a_time();
    let there = content("there");
    let first = begin_when(&store, 1, there.clone(), When::Any).await;
    let mut stale = Vec::new();
    for _ in 0..50 {
        stale.push(begin_when(&store, 1, content("stale"), When::Version(Version::random())).await);
        stale.push(begin_when(&store, 1, content("new"), When::Absent).await);
    }
    let fresh = begin_when(&store, 1, content("fresh"), When::Version(there.version)).await;
    gate.open();
    written(first).await;
    for write in stale {
        assert_eq!(met(write).await, Some(there.version));
    }
    written(fresh).await;
    assert_eq!(data(&store, 1).await.as_deref(), Some("fresh"));
    // The first write, one that conflicted, one that did not, and the read above.
    assert_eq!(gate.calls().len(), 4);
}

#[tokio::test]
async fn that_nothing_is_there_is_told_to_who_expects_something() {
    let (store, gate) = one_at_a_time();
    let other = begin_write(&store, 2, "other").await;
    let mut stale = Vec::new();
    for _ in 0..10 {
        stale.push(begin_when(&store, 1, content("stale"), When::Version(Version::random())).await);
    }
    let new = begin_when(&store, 1, content("new"), When::Absent).await;
    gate.open();
    written(other).await;
    for write in stale {
        let outcome = write.await.expect("no panic").expect("a write");
        assert!(matches!(outcome, WriteOutcome::Conflict(None)), "{outcome:?}");
    }
    written(new).await;
    assert_eq!(gate.calls().len(), 3);
}

#[tokio::test]
async fn who_came_after_it_was_sent_is_not_told() {
    let (store, gate) = one_at_a_time();
    let other = begin_write(&store, 2, "other").await;
    let stale = begin_when(&store, 1, content("stale"), When::Version(Version::random())).await;
    gate.admit(1);
    gate.call(2).await;
    // Sent, but not carried out. A write that begins now may already know a newer version.
    let late = begin_when(&store, 1, content("late"), When::Version(Version::random())).await;
    gate.open();
    written(other).await;
    for write in [stale, late] {
        assert!(!write.await.expect("no panic").expect("a write").is_written());
    }
    assert_eq!(gate.calls().len(), 3, "each was asked for itself");
}

#[tokio::test]
async fn one_that_is_there_already_is_asked_for_itself() {
    let (store, gate) = one_at_a_time();
    let there = content("there");
    let first = begin_when(&store, 1, there.clone(), When::Any).await;
    let stale = begin_when(&store, 1, content("stale"), When::Version(Version::random())).await;
    let again = begin_when(&store, 1, there.clone(), When::Absent).await;
    gate.open();
    written(first).await;
    assert_eq!(met(stale).await, Some(there.version));
    written(again).await;
}
