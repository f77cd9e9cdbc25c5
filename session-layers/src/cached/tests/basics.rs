//! Creation, rejected settings, and the negative cache.

use std::time::Duration;

use session_core::{
    DeleteOutcome, ErrorKind, Expected, Record, Result, SessionKey, SessionStore, Ttl, When, Write,
    WriteOutcome, async_trait,
};

use super::{
    super::{CacheExt, CacheSettings, Cached},
    lab::{data, key, lab, settings, write},
};
use session_memory::MemoryStore;

/// A store without a watch.
#[derive(Debug)]
struct Silent(MemoryStore);

#[async_trait]
impl SessionStore for Silent {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.0.read(key).await
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        self.0.write(key, write, when).await
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        self.0.touch(key, ttl).await
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        self.0.delete(key, expected).await
    }
}

#[tokio::test]
async fn a_store_without_a_watch_must_be_accepted() {
    let error = Cached::new(Silent(MemoryStore::new()), CacheSettings::default()).expect_err("it is refused");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("accept_staleness_without_watch"), "{error}");

    let (store, bound) = (MemoryStore::new(), Duration::from_millis(60));
    let settings = CacheSettings::default().accept_staleness_without_watch().max_staleness(bound);
    let cached = Silent(store.clone()).cached(settings).expect("a cache");
    let key = key();
    assert!(cached.write(&key, write("x"), When::Absent).await.expect("a write").is_written());
    let ended = std::time::Instant::now();
    let _ = store.delete(&key, Expected::Any).await.expect("a delete");
    tokio::time::sleep(bound.saturating_sub(ended.elapsed())).await;
    assert_eq!(data(&cached, &key).await, None);
    assert!(cached.owners().is_none() && cached.maintenance().is_none() && cached.watch().is_none());
}

#[tokio::test]
async fn settings_that_cannot_be_meant_are_refused() {
    let usual = CacheSettings::default;
    for (settings, said) in [
        (usual().max_bytes(0), "no bytes"),
        (usual().max_entries(0), "no entries"),
        (usual().max_staleness(Duration::ZERO), "max_staleness"),
    ] {
        let error = MemoryStore::new().cached(settings).expect_err(said);
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn there_must_be_a_runtime() {
    let error = MemoryStore::new().cached(CacheSettings::default()).expect_err("there is none");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("runtime"), "{error}");
}

#[tokio::test]
async fn an_id_that_nobody_has_is_asked_for_once_and_found_as_soon_as_somebody_has_it() {
    let (cached, lab) = lab(settings(None)).await;
    let (here, there) = (key(), key());
    for key in [&here, &there, &here, &there] {
        assert_eq!(data(&cached, key).await, None);
    }
    assert_eq!((lab.reads(), cached.stats().unknown_hits), (2, 2));
    assert!(cached.write(&here, write("x"), When::Absent).await.expect("a write").is_written());
    assert_eq!(data(&cached, &here).await.as_deref(), Some("x"));
    assert!(lab.elsewhere.write(&there, write("y"), When::Absent).await.expect("a write").is_written());
    lab.settle().await;
    assert_eq!(data(&cached, &there).await.as_deref(), Some("y"));
}

#[tokio::test]
async fn ids_that_nobody_has_are_bounded_in_number_and_time() {
    let bound = Duration::from_millis(30);
    let (cached, lab) = lab(settings(None).unknown_ids(100, bound)).await;
    for _ in 0..1_000 {
        assert_eq!(data(&cached, &key()).await, None);
    }
    let unknown = cached.inner.table.unknown.clone().expect("they are remembered");
    unknown.run_pending_tasks();
    assert!(unknown.entry_count() <= 100, "{}", unknown.entry_count());
    let key = key();
    assert_eq!(data(&cached, &key).await, None);
    tokio::time::sleep(bound).await;
    let reads = lab.reads();
    assert_eq!((data(&cached, &key).await, lab.reads()), (None, reads + 1));
    let (cached, lab) = super::lab::lab(settings(None).unknown_ids(0, bound)).await;
    for _ in 0..2 {
        assert_eq!(data(&cached, &key).await, None);
    }
    assert_eq!(lab.reads(), 2, "none are remembered");
}
