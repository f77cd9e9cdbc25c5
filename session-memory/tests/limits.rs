//! What happens when a configured limit is reached.

use std::{sync::Arc, time::Duration};

use session_core::{
    Error, ErrorKind, Expected, Maintenance, RenameOutcome, SessionId, SessionKey, SessionStore, Ttl, When,
    Write,
};
use session_memory::{MemoryStore, MemoryStoreBuilder, WhenFull};

fn key() -> SessionKey {
    SessionId::generate().key()
}

fn write(len: usize, seconds: u64) -> Write {
    Write::new(vec![b'x'; len], Ttl::new(Duration::from_secs(seconds)).expect("a ttl within the range"))
}

async fn put(store: &MemoryStore, key: &SessionKey, write: Write) -> Result<bool, Error> {
    store.write(key, write, When::Any).await.map(|outcome| outcome.is_written())
}

/// A store whose purging thread does not run during a test.
fn settings() -> MemoryStoreBuilder {
    MemoryStore::builder().purge_interval(Duration::from_hours(1))
}

#[tokio::test]
async fn a_full_store_refuses_new_sessions_and_keeps_all_old_ones() {
    let store = settings().max_sessions(3).build();
    let keys = [key(), key(), key()];
    for key in &keys {
        assert!(put(&store, key, write(10, 60)).await.expect("there is room"));
    }
    for when in [When::Any, When::Absent] {
        let error = store.write(&key(), write(10, 60), when).await.expect_err("the store is full");
        assert_eq!(error.kind(), ErrorKind::Full);
        assert!(error.to_string().contains("3 sessions"), "{error}");
    }
    for key in &keys {
        assert!(
            put(&store, key, write(20, 60)).await.expect("it is there already"),
            "replacing needs no room"
        );
    }
    assert_eq!(store.count().await.expect("a count"), 3);
}

#[tokio::test]
async fn a_login_works_in_a_full_store() {
    let store = settings().max_sessions(1).max_bytes(10).build();
    let (old, new, another) = (key(), key(), key());
    let anonymous = write(10, 60);
    assert!(put(&store, &old, anonymous.clone()).await.expect("there is room"));
    let login = write(10, 60);
    let outcome = store.rename(&old, &new, login.clone(), anonymous.version).await.expect("nothing is added");
    assert_eq!(outcome, RenameOutcome::Renamed);
    let too_much = store.rename(&new, &another, write(11, 60), login.version).await;
    assert_eq!(too_much.expect_err("one byte over the limit").kind(), ErrorKind::Full);
    assert_eq!(store.read(&new).await.expect("a read").expect("it is untouched").version, login.version);
    assert_eq!(store.read(&another).await.expect("a read"), None);
}

#[tokio::test]
async fn what_ends_makes_room() {
    let store = settings().max_sessions(2).max_bytes(100).build();
    let (first, second) = (key(), key());
    assert!(put(&store, &first, write(60, 60)).await.expect("there is room"));
    assert!(put(&store, &second, write(40, 60)).await.expect("there is room"));
    let _ = store.delete(&first, Expected::Any).await.expect("a delete");
    assert!(put(&store, &key(), write(60, 60)).await.expect("the delete made room"));

    // An expired session makes room at once, before it is purged.
    assert!(store.touch(&second, Ttl::MIN).await.expect("a touch"));
    tokio::time::sleep(Duration::from_millis(3)).await;
    assert!(put(&store, &key(), write(40, 60)).await.expect("the expiry made room"));
    assert_eq!(put(&store, &key(), write(0, 60)).await.expect_err("full again").kind(), ErrorKind::Full);
}

#[tokio::test]
async fn a_session_cannot_grow_beyond_the_bytes() {
    let store = settings().max_bytes(100).build();
    let (grows, other) = (key(), key());
    assert!(put(&store, &grows, write(50, 60)).await.expect("there is room"));
    assert!(put(&store, &other, write(40, 60)).await.expect("there is room"));
    let error = put(&store, &grows, write(61, 60)).await.expect_err("one byte over the limit");
    assert_eq!(error.kind(), ErrorKind::Full);
    assert!(error.to_string().contains("100 bytes"), "{error}");
    assert_eq!(store.read(&grows).await.expect("a read").expect("it is untouched").data.len(), 50);
    assert!(put(&store, &grows, write(60, 60)).await.expect("just as much as there is"));
    assert!(put(&store, &grows, write(1, 60)).await.expect("shrinking always works"));
    assert!(put(&store, &other, write(99, 60)).await.expect("what shrank made room"));
}

#[tokio::test]
async fn nobody_is_evicted_for_their_own_save_or_login() {
    let store = settings().max_bytes(100).when_full(WhenFull::EvictFirstToExpire).build();
    let id = SessionId::generate();
    let [mine, renamed, theirs] = [(); 3].map(|()| id.rotate().key());
    let owner = session_core::Owner::new("alice").expect("an owner");
    let first = write(50, 10).owner(session_core::OwnerChange::Set(owner.clone()));
    assert!(put(&store, &mine, first.clone()).await.expect("there is room"));
    assert!(put(&store, &theirs, write(50, 3600)).await.expect("there is room"));
    let saved = write(60, 10);
    let outcome =
        store.write(&mine, saved.clone(), When::Version(first.version)).await.expect("theirs is evicted");
    assert!(outcome.is_written());
    assert!(
        store.read(&theirs).await.expect("a read").is_none(),
        "mine expires first, but it is being saved"
    );

    assert!(put(&store, &theirs, write(40, 3600)).await.expect("there is room"));
    let outcome =
        store.rename(&mine, &renamed, write(70, 10), saved.version).await.expect("theirs is evicted");
    assert_eq!(outcome, RenameOutcome::Renamed);
    assert!(store.read(&theirs).await.expect("a read").is_none(), "mine expires first, but it is logging in");

    assert!(put(&store, &theirs, write(30, 3600)).await.expect("there is room"));
    assert!(put(&store, &renamed, write(80, 10)).await.expect("theirs is evicted"));
    let record = store.read(&renamed).await.expect("a read").expect("it was just saved");
    assert_eq!(record.owner, Some(owner));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_under_way_is_no_reason_to_refuse() {
    let store = settings().max_sessions(65).build();
    for _ in 0..300 {
        for _ in 0..64 {
            assert!(put(&store, &key(), Write::new("x", Ttl::MIN)).await.expect("there is room"));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
        let purging = store.clone();
        let purge = tokio::task::spawn_blocking(move || {
            tokio::runtime::Handle::current().block_on(async { purging.purge_expired(usize::MAX).await })
        });
        assert!(put(&store, &key(), Write::new("x", Ttl::MIN)).await.expect("64 of 65 have expired"));
        purge.await.expect("no panic").expect("a purge");
    }
}

#[tokio::test]
async fn nobody_is_evicted_for_a_write_that_would_not_fit_anyway() {
    let store = settings().max_bytes(10).when_full(WhenFull::EvictFirstToExpire).build();
    let staying = key();
    assert!(put(&store, &staying, write(10, 60)).await.expect("there is room"));
    assert_eq!(put(&store, &key(), write(11, 60)).await.expect_err("more than all").kind(), ErrorKind::Full);
    assert!(store.read(&staying).await.expect("a read").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_creations_never_exceed_the_limit() {
    let store = Arc::new(settings().max_sessions(100).build());
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut created = 0;
                for _ in 0..50 {
                    created += u64::from(put(&store, &key(), write(1, 60)).await.is_ok());
                }
                created
            })
        })
        .collect();
    let mut created = 0;
    for task in tasks {
        created += task.await.expect("no panic");
    }
    assert_eq!((created, store.count().await.expect("a count")), (100, 100));
}

#[tokio::test]
async fn a_limit_of_zero_is_none() {
    let store = settings().max_sessions(0).max_bytes(0).max_data_len(0).build();
    for _ in 0..100 {
        assert!(put(&store, &key(), write(2 << 20, 60)).await.expect("there is no limit"));
    }
}
