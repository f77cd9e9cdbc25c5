//! Changes by other nodes, with and without their events.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use session_core::{Event, Expected, SessionStore, When};

use super::{
    super::{CacheExt, Cached, flaw::Flaw},
    lab::{Lab, catches, data, key, lab, settings, ttl, write},
};

/// Creates a session that is in the cache.
async fn kept(cached: &Cached<Lab>, lab: &Lab) -> session_core::SessionKey {
    let key = key();
    assert!(lab.elsewhere.write(&key, write("x"), When::Absent).await.expect("a write").is_written());
    lab.settle().await;
    assert_eq!(data(cached, &key).await.as_deref(), Some("x"));
    assert_eq!(cached.inner.table.current(&key).is_some(), cached.stats().is_ready);
    key
}

#[tokio::test]
async fn a_logout_elsewhere_is_seen_when_it_is_heard() {
    catches(Flaw::DropsInvalidations, |flaw| async move {
        let (cached, lab) = lab(settings(flaw)).await;
        let key = kept(&cached, &lab).await;
        let _ = lab.elsewhere.delete(&key, Expected::Any).await.expect("a delete");
        lab.settle().await;
        data(&cached, &key).await.is_none()
    })
    .await;
}

#[tokio::test]
async fn nothing_is_trusted_while_the_watch_is_interrupted() {
    catches(Flaw::ForgetsBypass, |flaw| async move {
        let (cached, lab) = lab(settings(flaw)).await;
        let key = kept(&cached, &lab).await;
        lab.mute(true);
        lab.say(Some(Event::Interrupted)).await;
        let _ = lab.elsewhere.delete(&key, Expected::Any).await.expect("a delete");
        let honest = data(&cached, &key).await.is_none();
        if honest {
            assert!(!cached.stats().is_ready);
            let reads = lab.reads();
            data(&cached, &key).await;
            assert_eq!((lab.reads(), cached.stats().bypasses), (reads + 1, 2), "nothing is kept");
            lab.mute(false);
            lab.say(Some(Event::Missed)).await;
            assert!(cached.stats().is_ready, "all is heard again");
            kept(&cached, &lab).await;
        }
        honest
    })
    .await;
}

#[tokio::test]
async fn a_gap_empties_the_cache() {
    catches(Flaw::IgnoresMissed, |flaw| async move {
        let (cached, lab) = lab(settings(flaw)).await;
        let key = kept(&cached, &lab).await;
        lab.mute(true);
        let _ = lab.elsewhere.delete(&key, Expected::Any).await.expect("a delete");
        lab.say(Some(Event::Missed)).await;
        data(&cached, &key).await.is_none()
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_ends_is_replaced_and_nothing_is_trusted_meanwhile() {
    let (cached, lab) = lab(settings(None)).await;
    let key = kept(&cached, &lab).await;
    lab.mute(true);
    let _ = lab.elsewhere.delete(&key, Expected::Any).await.expect("a delete");
    lab.say(None).await;
    assert_eq!(data(&cached, &key).await, None);
    lab.mute(false);
    cached.wait_until_ready().await;
    kept(&cached, &lab).await;
}

/// The connection that delivers events is frozen, and the cache does not notice.
#[tokio::test]
async fn max_staleness_holds_whatever_is_heard() {
    catches(Flaw::IgnoresStaleness, |flaw| async move {
        let bound = Duration::from_millis(100);
        let (cached, lab) = lab(settings(flaw).max_staleness(bound)).await;
        let key = kept(&cached, &lab).await;
        lab.mute(true);
        let _ = lab.elsewhere.delete(&key, Expected::Any).await.expect("a delete");
        let ended = Instant::now();
        while ended.elapsed() < bound {
            // Reads do not prolong the entry.
            data(&cached, &key).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        data(&cached, &key).await.is_none()
    })
    .await;
}

#[tokio::test]
async fn an_entry_does_not_outlive_its_record() {
    catches(Flaw::IgnoresExpiry, |flaw| async move {
        let (cached, lab) = lab(settings(flaw)).await;
        let (key, mut brief) = (key(), write("x"));
        brief.ttl = ttl(Duration::from_millis(50));
        assert!(lab.elsewhere.write(&key, brief, When::Absent).await.expect("a write").is_written());
        lab.settle().await;
        let written = Instant::now();
        data(&cached, &key).await;
        while written.elapsed() < Duration::from_millis(50) {
            data(&cached, &key).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        data(&cached, &key).await.is_none()
    })
    .await;
}

/// A missing event for a change through this cache shows that other events are missing, too.
#[tokio::test]
async fn a_watch_that_is_frozen_is_noticed_by_our_own_changes() {
    let bound = Duration::from_millis(400);
    let (cached, lab) = lab(settings(None).max_staleness(bound)).await;
    kept(&cached, &lab).await;
    lab.mute(true);
    let flushes = cached.stats().evictions.flushes;
    let begun = Instant::now();
    assert!(cached.write(&key(), write("x"), When::Absent).await.expect("a write").is_written());
    while cached.stats().evictions.flushes == flushes {
        assert!(begun.elapsed() < Duration::from_secs(20), "it goes unnoticed");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(begun.elapsed() >= bound / 2, "it was given time");
    lab.mute(false);
    cached.wait_until_ready().await;
    kept(&cached, &lab).await;
}

#[tokio::test]
async fn the_lag_is_measured() {
    let (cached, lab) = lab(settings(None)).await;
    for _ in 0..20 {
        assert!(cached.write(&key(), write("x"), When::Absent).await.expect("a write").is_written());
        lab.settle().await;
    }
    let lag = cached.stats().lag;
    assert_eq!(lag.samples, 20);
    assert!(lag.p50 <= lag.p99 && lag.p99 <= lag.longest, "{lag:?}");
}

/// Without versions, an echo is indistinguishable from a change by another node.
#[tokio::test]
async fn an_event_without_a_version_means_the_worst() {
    let (cached, lab) = lab(settings(None)).await;
    lab.state.blunt.store(true, Ordering::SeqCst);
    let key = key();
    assert!(cached.write(&key, write("x"), When::Absent).await.expect("a write").is_written());
    lab.settle().await;
    assert_eq!(cached.stats().evictions.changed, 1);
    assert_eq!((data(&cached, &key).await.as_deref(), lab.reads()), (Some("x"), 1));
}

#[tokio::test]
async fn when_the_runtime_of_the_cache_ends_reads_go_to_the_store() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let (cached, lab) = runtime.spawn(lab(settings(None))).await.expect("no panic");
    let key = {
        let (cached, lab) = (cached.clone(), lab.clone());
        runtime.spawn(async move { kept(&cached, &lab).await }).await.expect("no panic")
    };
    let other = self::key();
    assert!(lab.elsewhere.write(&other, write("y"), When::Absent).await.expect("a write").is_written());
    runtime.shutdown_background();
    while cached.stats().is_ready {
        tokio::task::yield_now().await;
    }
    let _ = lab.elsewhere.delete(&key, Expected::Any).await.expect("a delete");
    assert_eq!(data(&cached, &key).await, None);
    assert_eq!(data(&cached, &other).await.as_deref(), Some("y"));
}

#[tokio::test]
async fn the_store_goes_with_the_last_handle() {
    let (cached, lab) = lab(settings(None)).await;
    let store = Arc::downgrade(&cached.inner.store);
    let another = cached.clone();
    drop(cached);
    assert_eq!(another.read(&key()).await.expect("a read"), None);
    drop(another);
    assert!(store.upgrade().is_none(), "something holds the store");
    drop(lab);
}

#[tokio::test]
async fn a_closed_cache_is_bypassed() {
    let (cached, lab) = lab(settings(None)).await;
    let key = kept(&cached, &lab).await;
    cached.close().await.expect("closed");
    assert!(!cached.stats().is_ready);
    let _ = lab.elsewhere.delete(&key, Expected::Any).await.expect("a delete");
    assert_eq!(data(&cached, &key).await, None);
    // A cache that finds its store closed is bypassed, too.
    let late = lab.cached(settings(None)).expect("a cache");
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!late.stats().is_ready);
}
