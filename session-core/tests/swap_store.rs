//! Properties of the compare-and-swap store that the suite cannot show: lost requests and replies,
//! and a change that is pending while its record expires.

#[path = "../doc/swap_engine.rs"]
#[allow(missing_docs, unreachable_pub, reason = "it is public in the documentation")]
mod engine;
#[path = "../doc/swap_store.rs"]
#[allow(missing_docs, unreachable_pub, reason = "it is public in the documentation")]
mod swap_store;

use std::{sync::Arc, time::Duration};

use engine::{Engine, Loss};
use session_core::{
    DeleteOutcome, Expected, Record, SessionId, SessionKey, SessionStore, StoredRecord, Ttl, When, Write,
    WriteOutcome,
};
use swap_store::SwapStore;

fn open() -> (Arc<Engine>, SwapStore, SessionKey) {
    let engine = Arc::new(Engine::default());
    (Arc::clone(&engine), SwapStore::new(engine), SessionId::generate().key())
}

fn write(data: &str, ttl: Duration) -> Write {
    Write::new(data.to_owned(), Ttl::new(ttl).expect("a ttl"))
}

async fn live(store: &SwapStore, key: &SessionKey) -> Record {
    store.read(key).await.expect("an answer").expect("it is live")
}

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_write_whose_reply_was_lost_finds_itself() {
    let (engine, store, key) = open();
    for when in [When::Absent, When::Any] {
        engine.lose(Loss::Reply);
        let outcome = store.write(&key, write("x", HOUR), when).await.expect("it finds out");
        assert_eq!(outcome, WriteOutcome::Written);
    }
    let version = live(&store, &key).await.version;
    engine.lose(Loss::Reply);
    let outcome = store.write(&key, write("y", HOUR), When::Version(version)).await.expect("it finds out");
    assert_eq!((outcome, &live(&store, &key).await.data[..]), (WriteOutcome::Written, &b"y"[..]));
    assert_eq!(engine.sent(), 3, "nothing was sent twice");
}

#[tokio::test]
async fn a_change_without_a_trace_is_not_sent_again() {
    let (engine, store, key) = open();
    for when in [When::Absent, When::Any] {
        engine.lose(Loss::Request);
        let error = store.write(&key, write("x", HOUR), when).await.expect_err("it is not there");
        assert!(error.may_have_applied(), "{error}");
    }
    assert_eq!(engine.sent(), 2, "each write was sent once");
    let created = write("x", HOUR);
    assert!(store.write(&key, created.clone(), When::Absent).await.expect("an outcome").is_written());
    engine.lose(Loss::Request);
    let outcome = store.write(&key, write("y", HOUR), When::Version(created.version)).await;
    assert!(outcome.expect_err("it is not there").may_have_applied());
    engine.lose(Loss::Request);
    assert!(store.touch(&key, created.ttl).await.expect_err("no reply").may_have_applied());
    engine.lose(Loss::Request);
    assert!(store.delete(&key, Expected::Any).await.expect_err("no reply").may_have_applied());
    assert_eq!(live(&store, &key).await.version, created.version);
}

#[tokio::test]
async fn what_was_called_absent_is_not_revived_by_a_pending_swap() {
    for ended in ["read", "delete", "touch"] {
        let (engine, store, key) = open();
        // It expired in 1970. Another node has read it before that, and its swap is in flight.
        let expired = StoredRecord::new(write("brief", HOUR), None, 0).encode();
        assert!(engine.add(&key, expired, 60).await.expect("a reply"));
        let (bytes, token) = engine.get(&key).await.expect("a reply").expect("it is there");
        match ended {
            "read" => assert_eq!(store.read(&key).await.expect("an answer"), None),
            "delete" => {
                let outcome = store.delete(&key, Expected::Any).await.expect("an outcome");
                assert_eq!(outcome, DeleteOutcome::Absent);
            }
            _ => assert!(!store.touch(&key, Ttl::MAX).await.expect("an outcome")),
        }
        assert!(!engine.swap(&key, token, bytes, 60).await.expect("a reply"), "the token outlived a {ended}");
    }
}
