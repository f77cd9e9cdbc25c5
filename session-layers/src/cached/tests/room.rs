//! The bounds of the cache.

use std::time::Duration;

use session_core::{SessionStore, When, Write};

use super::lab::{data, key, lab, settings, ttl};

fn sized(len: usize) -> Write {
    Write::new(vec![b'x'; len], ttl(Duration::from_hours(1)))
}

#[tokio::test]
async fn neither_bound_is_exceeded_and_the_last_used_stay() {
    for (settings, most) in
        [(settings(None).max_entries(50), 50), (settings(None).max_bytes(100_000), 100_000 / 1_000)]
    {
        let (cached, lab) = lab(settings).await;
        let favourite = key();
        assert!(cached.write(&favourite, sized(1_000), When::Absent).await.expect("a write").is_written());
        for _ in 0..500 {
            assert!(cached.write(&key(), sized(1_000), When::Absent).await.expect("a write").is_written());
            // The echo of a write counts as a use of the entry.
            lab.settle().await;
            assert!(data(&cached, &favourite).await.is_some());
            cached.inner.table.sessions.run_pending_tasks();
        }
        let stats = cached.stats();
        assert!(stats.entries <= most && stats.entries > most / 4, "{stats:?}");
        assert!(stats.evictions.space >= 500 - most, "{stats:?}");
        assert_eq!(lab.reads(), 0, "it was always in use: {stats:?}");
    }
}

#[tokio::test]
async fn a_session_that_is_larger_than_the_cache_is_read_from_the_store() {
    let (cached, lab) = lab(settings(None).max_bytes(10_000)).await;
    let key = key();
    assert!(cached.write(&key, sized(20_000), When::Absent).await.expect("a write").is_written());
    cached.inner.table.sessions.run_pending_tasks();
    for _ in 0..3 {
        assert_eq!(data(&cached, &key).await.map(|data| data.len()), Some(20_000));
        cached.inner.table.sessions.run_pending_tasks();
    }
    assert_eq!((lab.reads(), cached.stats().bytes), (3, 0));
}

#[tokio::test]
async fn emptying_it_gives_the_memory_back() {
    let (cached, lab) = lab(settings(None)).await;
    let keys: Vec<_> = (0..100).map(|_| key()).collect();
    for key in &keys {
        assert!(cached.write(key, sized(1_000), When::Absent).await.expect("a write").is_written());
    }
    lab.settle().await;
    cached.clear();
    cached.inner.table.sessions.run_pending_tasks();
    assert_eq!((cached.stats().entries, cached.stats().bytes), (0, 0));
    assert!(data(&cached, &keys[0]).await.is_some());
    assert_eq!(lab.reads(), 1);
}
