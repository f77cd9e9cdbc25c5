//! Many callers on many threads.

use session_backend::{BatchSettings, Batched};
use session_core::{DeleteOutcome, Expected, SessionStore, When, WriteOutcome};
use session_memory::MemoryStore;
use tokio::task::{JoinSet, yield_now};

use crate::{
    setup::{begin, content, key},
    waits::Waits,
};

fn settings() -> BatchSettings {
    BatchSettings::default().batch_items(8).queue_capacity(16)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_caller_reads_its_writes() {
    let store = Batched::new(Waits(MemoryStore::new()), settings()).expect("a runtime");
    let mut callers = JoinSet::new();
    for n in 0..40 {
        let store = store.clone();
        callers.spawn(async move {
            for round in 0..100 {
                let write = content(format!("{n} {round}"));
                let version = write.version;
                assert!(store.write(&key(n), write, When::Any).await.expect("a write").is_written());
                let read = store.read(&key(n)).await.expect("a read").expect("it is live");
                assert_eq!(read.version, version, "caller {n} in round {round}");
                if round % 10 == 9 {
                    assert_eq!(
                        store.delete(&key(n), Expected::Any).await.expect("a delete"),
                        DeleteOutcome::Deleted
                    );
                    assert_eq!(store.read(&key(n)).await.expect("a read"), None);
                }
            }
        });
    }
    while let Some(done) = callers.join_next().await {
        done.expect("no panic");
    }
    store.close().await.expect("nothing is left behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_conditional_write_is_lost_on_a_hot_key() {
    let store = Batched::new(Waits(MemoryStore::new()), settings()).expect("a runtime");
    assert!(store.write(&key(0), content("0"), When::Absent).await.expect("a write").is_written());
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let store = store.clone();
        callers.spawn(async move {
            for _ in 0..20 {
                let mut seen = store.read(&key(0)).await.expect("a read").expect("it is live");
                loop {
                    let count: u32 =
                        std::str::from_utf8(&seen.data).expect("text").parse().expect("a number");
                    let write = content((count + 1).to_string());
                    match store.write(&key(0), write, When::Version(seen.version)).await.expect("an outcome")
                    {
                        WriteOutcome::Written => break,
                        WriteOutcome::Conflict(now) => seen = now.expect("it is live"),
                    }
                }
            }
        });
    }
    while let Some(done) = callers.join_next().await {
        done.expect("no panic");
    }
    let record = store.read(&key(0)).await.expect("a read").expect("it is live");
    assert_eq!(record.data, "400");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_that_go_away_at_any_point_leave_the_others_alone() {
    let store = Batched::new(Waits(MemoryStore::new()), settings()).expect("a runtime");
    let mut stay = JoinSet::new();
    for n in 0..2_000 {
        let other = store.clone();
        let operation = async move { other.write(&key(n % 50), content("a"), When::Any).await };
        if n % 3 == 0 {
            let gone = begin(operation).await;
            for _ in 0..n % 7 {
                yield_now().await;
            }
            gone.abort();
        } else {
            stay.spawn(operation);
        }
    }
    while let Some(done) = stay.join_next().await {
        assert!(done.expect("no panic").expect("a write").is_written());
    }
    store.close().await.expect("nothing is left behind");
}
