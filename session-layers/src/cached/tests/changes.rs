//! Changes through the cache: what the cache keeps of them, and what it drops.

use std::{sync::atomic::Ordering, time::Duration};

use session_core::{
    Expected, Operation, Owner, OwnerChange, OwnerIndex, RenameOutcome, SessionKey, SessionStore, Version,
    When, Write, WriteItem, WriteOutcome,
};

use super::{
    super::{Cached, flaw::Flaw},
    lab::{Lab, catches, data, key, lab, settings, ttl, write},
};

#[tokio::test]
async fn what_is_written_is_read_from_memory_and_its_echo_changes_nothing() {
    catches(Flaw::FlushesOnEcho, |flaw| async move {
        let (cached, lab) = lab(settings(flaw)).await;
        let (key, alice) = (key(), Owner::new("alice").expect("an owner"));
        let first = write("first").owner(OwnerChange::Set(alice.clone()));
        let second = write("second");
        assert!(cached.write(&key, first.clone(), When::Absent).await.expect("a write").is_written());
        lab.settle().await;
        let replaced = cached.write(&key, second, When::Version(first.version)).await.expect("a write");
        assert!(replaced.is_written());
        lab.settle().await;
        let record = cached.read(&key).await.expect("a read").expect("it is live");
        assert_eq!((&record.data[..], record.owner), (&b"second"[..], Some(alice)), "the owner is kept");
        lab.reads() == 0
    })
    .await;
}

#[tokio::test]
async fn a_rename_keeps_the_new_record_and_the_owner() {
    let (cached, lab) = lab(settings(None)).await;
    let (old, new, alice) = (key(), key(), Owner::new("alice").expect("an owner"));
    let first = write("first").owner(OwnerChange::Set(alice.clone()));
    assert!(cached.write(&old, first.clone(), When::Absent).await.expect("a write").is_written());
    let renamed = cached.rename(&old, &new, write("second"), first.version).await.expect("a rename");
    assert_eq!(renamed, RenameOutcome::Renamed);
    lab.settle().await;
    assert_eq!(cached.read(&new).await.expect("a read").expect("it is live").owner, Some(alice));
    assert_eq!(lab.reads(), 0);
    assert_eq!(data(&cached, &old).await, None);
    assert_eq!(lab.reads(), 1);
}

/// The first write may have changed the owner of a record that the cache has never seen.
#[tokio::test]
async fn an_owner_that_is_not_known_is_asked_for() {
    let (cached, lab) = lab(settings(None)).await;
    let (key, alice) = (key(), Owner::new("alice").expect("an owner"));
    let first = write("first").owner(OwnerChange::Set(alice.clone()));
    assert!(lab.elsewhere.write(&key, first.clone(), When::Absent).await.expect("a write").is_written());
    lab.settle().await;
    for when in [When::Version(first.version), When::Any] {
        assert!(cached.write(&key, write("next"), when).await.expect("a write").is_written());
        assert_eq!(
            cached.read(&key).await.expect("a read").expect("it is live").owner.as_ref(),
            Some(&alice)
        );
    }
    assert_eq!(lab.reads(), 2);
}

/// The event of the touch has the version of the write, as the echo had.
#[tokio::test]
async fn a_touch_elsewhere_is_not_taken_for_an_echo() {
    catches(Flaw::TakesTouchesForEchoes, |flaw| async move {
        let (cached, lab) = lab(settings(flaw)).await;
        let key = key();
        assert!(cached.write(&key, write("x"), When::Absent).await.expect("a write").is_written());
        lab.settle().await;
        let brief = ttl(Duration::from_millis(20));
        assert!(lab.elsewhere.touch(&key, brief).await.expect("a touch"));
        lab.settle().await;
        tokio::time::sleep(Duration::from_millis(25)).await;
        data(&cached, &key).await.is_none()
    })
    .await;
}

/// The write that takes effect first returns last.
#[tokio::test]
async fn of_writes_that_overlap_none_is_trusted() {
    catches(Flaw::TrustsOverlaps, |flaw| async move {
        let (cached, lab) = lab(settings(flaw)).await;
        let key = key();
        lab.mute(true);
        lab.hold(Operation::Write, true);
        let first = tokio::spawn({
            let cached = cached.clone();
            let write = write("first").owner(OwnerChange::Clear);
            async move { cached.write(&key, write, When::Any).await }
        });
        lab.until_reached(Operation::Write, true, 1).await;
        let second = tokio::spawn({
            let (cached, elsewhere) = (cached.clone(), lab.elsewhere.clone());
            async move {
                // A change in the cache that bypasses the point where writes are held.
                let change = super::super::change::Change::begin(&cached.inner.table, &key, None);
                let write = write("second");
                let foreseen = change.foresee(&write.clone().owner(OwnerChange::Clear), When::Any);
                let outcome = elsewhere.write(&key, write, When::Any).await;
                change.written(foreseen, &outcome);
            }
        });
        second.await.expect("no panic");
        lab.release(Operation::Write, true);
        assert!(first.await.expect("no panic").expect("a write").is_written());
        data(&cached, &key).await.as_deref() == Some("second")
    })
    .await;
}

#[tokio::test]
async fn after_a_lost_reply_the_store_is_asked() {
    catches(Flaw::KeepsWhatIsInDoubt, |flaw| async move {
        let (cached, lab) = lab(settings(flaw)).await;
        let (key, first) = (key(), write("first"));
        assert!(cached.write(&key, first.clone(), When::Absent).await.expect("a write").is_written());
        lab.settle().await;
        lab.mute(true);
        lab.state.loses_replies.store(true, Ordering::SeqCst);
        let lost = cached.write(&key, write("second"), When::Version(first.version)).await;
        assert!(lost.expect_err("the reply is lost").may_have_applied());
        data(&cached, &key).await.as_deref() == Some("second")
    })
    .await;
}

#[tokio::test]
async fn after_a_caller_went_away_the_store_is_asked() {
    let (cached, lab) = lab(settings(None)).await;
    let (key, first) = (key(), write("first"));
    assert!(cached.write(&key, first.clone(), When::Absent).await.expect("a write").is_written());
    lab.settle().await;
    lab.mute(true);
    lab.hold(Operation::Write, true);
    let writing = tokio::spawn({
        let cached = cached.clone();
        async move { cached.write(&key, write("second"), When::Version(first.version)).await }
    });
    lab.until_reached(Operation::Write, true, 2).await;
    writing.abort();
    assert!(writing.await.expect_err("it was aborted").is_cancelled());
    assert_eq!(data(&cached, &key).await.as_deref(), Some("second"));
    assert_eq!(cached.inner.table.in_flight.len(), 0);
}

#[tokio::test]
async fn what_an_owner_ends_goes_from_the_cache() {
    catches(Flaw::ForgetsOwners, |flaw| async move {
        let (cached, lab) = lab(settings(flaw)).await;
        let (key, alice) = (key(), Owner::new("alice").expect("an owner"));
        let owned = write("x").owner(OwnerChange::Set(alice.clone()));
        assert!(cached.write(&key, owned, When::Absent).await.expect("a write").is_written());
        lab.mute(true);
        let ended = cached.owners().expect("an index").delete_all(&alice, None).await.expect("a delete");
        assert_eq!(ended, [key]);
        data(&cached, &key).await.is_none()
    })
    .await;
}

/// Some sessions of the owner may have ended, and it is not known which.
#[tokio::test]
async fn an_owner_deletion_that_is_dropped_empties_the_cache() {
    let (cached, lab) = lab(settings(None)).await;
    let (key, alice) = (key(), Owner::new("alice").expect("an owner"));
    let owned = write("x").owner(OwnerChange::Set(alice.clone()));
    assert!(cached.write(&key, owned, When::Absent).await.expect("a write").is_written());
    lab.mute(true);
    lab.hold(Operation::DeleteOwner, true);
    let deleting = tokio::spawn({
        let cached = cached.clone();
        async move { cached.delete_all(&alice, None).await }
    });
    lab.until_reached(Operation::DeleteOwner, true, 1).await;
    deleting.abort();
    assert!(deleting.await.expect_err("it was aborted").is_cancelled());
    assert_eq!(data(&cached, &key).await, None);
}

/// A stale hit costs a merge, never an update: the store evaluates the condition, and the cache
/// keeps the store's answer.
#[tokio::test]
async fn conditions_are_judged_by_the_store() {
    let (cached, lab) = lab(settings(None)).await;
    let (key, first, second) = (key(), write("first"), write("second"));
    assert!(cached.write(&key, first.clone(), When::Absent).await.expect("a write").is_written());
    lab.settle().await;
    lab.mute(true);
    let elsewhere = lab.elsewhere.write(&key, second.clone(), When::Version(first.version)).await;
    assert!(elsewhere.expect("a write").is_written());
    assert_eq!(data(&cached, &key).await.as_deref(), Some("first"), "nobody has told of it");
    let refused = cached.write(&key, write("third"), When::Version(first.version)).await.expect("a write");
    assert!(matches!(refused, WriteOutcome::Conflict(Some(record)) if record.version == second.version));
    assert_eq!((data(&cached, &key).await.as_deref(), lab.reads()), (Some("second"), 0));
    let _ = lab.elsewhere.delete(&key, Expected::Any).await.expect("a delete");
    assert!(!cached.touch(&key, ttl(Duration::from_mins(1))).await.expect("a touch"));
    assert_eq!(data(&cached, &key).await, None, "the touch has told");
}

/// A repeated write changes nothing, not even the expiry, so the cache learns nothing from it.
#[tokio::test]
async fn a_write_that_is_delivered_again_prolongs_nothing() {
    let (cached, lab) = lab(settings(None)).await;
    let (key, write) = (key(), write("x"));
    assert!(cached.write(&key, write.clone(), When::Absent).await.expect("a write").is_written());
    assert!(cached.touch(&key, ttl(Duration::from_mins(5))).await.expect("a touch"));
    assert!(cached.write(&key, write, When::Absent).await.expect("a write").is_written());
    lab.settle().await;
    let left = cached.read(&key).await.expect("a read").expect("it is live").expires_in;
    assert!(left <= Duration::from_mins(5), "{left:?}");
}

/// How a write reaches the store: by itself, in a batch, or as a rename.
#[derive(Clone, Copy, Debug)]
enum Way {
    Write,
    Batch,
    Rename,
}

/// Sends the same write, which creates the record under `key`.
async fn send(
    way: Way,
    cached: &Cached<Lab>,
    (old, key): (SessionKey, SessionKey),
    seen: Version,
    write: &Write,
) {
    let write = write.clone();
    let took_effect = match way {
        Way::Write => cached.write(&key, write, When::Absent).await.expect("a write").is_written(),
        Way::Batch => {
            let item = WriteItem { key, write, when: When::Absent };
            let outcomes = cached.write_many(&[item]).await;
            outcomes.into_iter().all(|outcome| outcome.expect("a write").is_written())
        }
        Way::Rename => {
            cached.rename(&old, &key, write, seen).await.expect("a rename") == RenameOutcome::Renamed
        }
    };
    assert!(took_effect, "{way:?}");
}

/// Even if the cache kept nothing of the first delivery: the record expires by a later touch, which
/// no further event reports.
#[tokio::test]
async fn what_is_delivered_again_expires_as_before() {
    for way in [Way::Write, Way::Batch, Way::Rename] {
        catches(Flaw::CountsTtlAnew, |flaw| async move {
            let (cached, lab) = lab(settings(flaw)).await;
            let (keys, old) = ((key(), key()), write("old"));
            assert!(cached.write(&keys.0, old.clone(), When::Absent).await.expect("a write").is_written());
            let write = write("x").owner(OwnerChange::Clear);
            send(way, &cached, keys, old.version, &write).await;
            assert!(lab.elsewhere.touch(&keys.1, ttl(Duration::from_mins(5))).await.expect("a touch"));
            lab.settle().await;
            assert!(cached.inner.table.current(&keys.1).is_none(), "the touch was heard of");
            send(way, &cached, keys, old.version, &write).await;
            lab.settle().await;
            let left = cached.read(&keys.1).await.expect("a read").expect("it is live").expires_in;
            left <= Duration::from_mins(5)
        })
        .await;
    }
}

/// The reply to the first delivery was lost, and the record was touched since. The event of that
/// touch is not an echo of the second delivery.
#[tokio::test]
async fn a_touch_after_a_second_delivery_is_heard() {
    let (cached, lab) = lab(settings(None)).await;
    let (key, write) = (key(), write("x"));
    lab.state.loses_replies.store(true, Ordering::SeqCst);
    let lost = cached.write(&key, write.clone(), When::Absent).await;
    assert!(lost.expect_err("the reply is lost").may_have_applied());
    lab.state.loses_replies.store(false, Ordering::SeqCst);
    lab.settle().await;
    assert!(cached.write(&key, write, When::Absent).await.expect("a write").is_written());
    assert_eq!(data(&cached, &key).await.as_deref(), Some("x"));
    assert!(lab.elsewhere.touch(&key, ttl(Duration::from_mins(5))).await.expect("a touch"));
    lab.settle().await;
    let left = cached.read(&key).await.expect("a read").expect("it is live").expires_in;
    assert!(left <= Duration::from_mins(5), "{left:?}");
}
