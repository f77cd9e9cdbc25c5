//! The purging thread frees expired sessions by itself and ends with the store.

use std::time::Duration;

use futures_util::StreamExt;
use session_core::{Event, Owner, OwnerChange, SessionId, SessionStore, Ttl, Watch, When, Write};
use session_memory::MemoryStore;
use tokio::time::timeout;

#[tokio::test]
async fn expired_sessions_are_freed_by_themselves() {
    let store = MemoryStore::builder().purge_interval(Duration::from_millis(10)).build();
    let mut events = store.subscribe().await.expect("a subscription");
    let key = SessionId::generate().key();
    let brief = Write::new("x", Ttl::MIN);
    let version = Some(brief.version);
    assert!(store.write(&key, brief, When::Absent).await.expect("a write").is_written());
    let mut next = async || timeout(Duration::from_secs(10), events.next()).await.expect("an event");
    assert_eq!(next().await, Some(Event::Changed { key, version }));
    assert_eq!(next().await, Some(Event::Expired { key }));
}

#[tokio::test]
async fn the_stream_ends_with_the_store() {
    let store = MemoryStore::new();
    let mut events = store.subscribe().await.expect("a subscription");
    drop(store);
    assert_eq!(timeout(Duration::from_secs(10), events.next()).await.expect("the end"), None);
}

#[tokio::test]
async fn without_the_thread_writes_free_what_has_expired() {
    let closed = MemoryStore::new();
    closed.close().await.expect("closed");
    for store in [MemoryStore::builder().purge_interval(Duration::ZERO).build(), closed] {
        // There are 256 shards; this many writes reach each of them often.
        for round in 0..4 {
            for _ in 0..20_000 {
                let write = Write::new("x", Ttl::MIN);
                let key = SessionId::generate().key();
                assert!(store.write(&key, write, When::Absent).await.expect("a write").is_written());
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
            let shown = format!("{store:?}");
            let stored: usize =
                shown.split(&[' ', ','][..]).find_map(|word| word.parse().ok()).expect("a count");
            assert!(stored <= 25_000, "round {round}: {shown}");
        }
    }
}

#[tokio::test]
async fn debug_counts_and_shows_no_session() {
    let store = MemoryStore::new();
    let owner = Owner::new("mallory@example.com").expect("an owner");
    let write = Write::new("hunter2", Ttl::MAX).owner(OwnerChange::Set(owner));
    let key = SessionId::generate().key();
    assert!(store.write(&key, write, When::Absent).await.expect("a write").is_written());
    for shown in [format!("{store:?}"), format!("{store:#?}")] {
        assert!(shown.contains("stored: 1"), "{shown}");
        for secret in ["hunter2", "mallory", &key.to_string(), "104, 117, 110"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
