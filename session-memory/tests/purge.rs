//! Expired sessions give their space back without anybody asking, and the thread that does it ends with the store.

use std::time::Duration;

use futures_util::StreamExt;
use session_core::{Event, SessionId, SessionStore, Ttl, Watch, When, Write};
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
