//! The task that frees expired sessions.

use std::{path::Path, time::Duration};

use futures_util::StreamExt;
use session_core::{Event, SessionId, SessionStore, Ttl, When, Write};
use session_sql::SqliteStore;
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::{runtime::Handle, time::timeout};

const PATIENCE: Duration = Duration::from_secs(20);

fn ttl(millis: u64) -> Ttl {
    Ttl::new(Duration::from_millis(millis)).expect("a ttl")
}

async fn other(file: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file);
    SqliteConnection::connect_with(&options).await.expect("a connection")
}

async fn rows(connection: &mut SqliteConnection) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM sessions").fetch_one(connection).await.expect("a count")
}

async fn open(file: &Path) -> SqliteStore {
    let interval = Some(Duration::from_millis(20));
    SqliteStore::builder()
        .purge_interval(interval)
        .deadline(Duration::from_secs(1))
        .open(file)
        .await
        .expect("a store")
}

#[tokio::test]
async fn frees_what_has_expired_and_leaves_what_was_renewed() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("app.db");
    let store = open(&file).await;
    let mut events = store.watch().expect("it has one").subscribe().await.expect("a stream");
    let (renewed, short) = (SessionId::generate().key(), SessionId::generate().key());
    for key in [&renewed, &short] {
        let write = Write::new("a session", ttl(1_500));
        assert!(store.write(key, write, When::Absent).await.expect("a write").is_written());
    }
    assert!(store.touch(&renewed, ttl(3_600_000)).await.expect("a touch"), "it is live");
    timeout(PATIENCE, async {
        loop {
            match events.next().await {
                Some(Event::Expired { key }) => return assert_eq!(key, short),
                Some(_) => {}
                None => panic!("the stream ended"),
            }
        }
    })
    .await
    .expect("it is freed in time");
    let mut other = other(&file).await;
    assert_eq!(rows(&mut other).await, 1, "one was freed");
    // By now, or in the next rounds, the purge visits the renewed session and postpones its next
    // visit.
    let due = "SELECT count(*) FROM sessions WHERE b <= unixepoch() * 1000";
    timeout(PATIENCE, async {
        while sqlx::query_scalar::<_, i64>(due).fetch_one(&mut other).await.expect("a count") > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("it is postponed");
    assert!(store.read(&renewed).await.expect("a read").is_some());
}

#[tokio::test]
async fn zero_and_off_turn_it_off() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("app.db");
    let url = |options: &str| format!("sqlite:{}?{options}", file.display());
    let builder = SqliteStore::builder().purge_interval(Some(Duration::ZERO));
    for store in [
        SqliteStore::connect(&url("purge_interval_ms=0&max_data_len=off")).await,
        SqliteStore::connect(&url("purge_interval_ms=off&max_data_len=0&mmap_size=off")).await,
        builder.max_data_len(0).open(&file).await,
    ] {
        let store = store.expect("a store");
        assert_eq!(store.max_data_len(), 900_000_000);
        let purging = SqliteStore::connect(&url("table=purging&purge_interval_ms=10")).await;
        let purging = purging.expect("a store");
        let mut events = purging.watch().expect("it has one").subscribe().await.expect("a stream");
        let key = SessionId::generate().key();
        for store in [&store, &purging] {
            let write = Write::new("a session", ttl(20));
            assert!(store.write(&key, write, When::Absent).await.expect("a write").is_written());
        }
        let freed = async { while !matches!(events.next().await, Some(Event::Expired { .. })) {} };
        timeout(PATIENCE, freed).await.expect("the other table is purged");
        for store in [store, purging] {
            store.close().await.expect("closed");
        }
    }
    assert_eq!(rows(&mut other(&file).await).await, 3, "something was purged");
    let no_time = SqliteStore::builder().deadline(Duration::ZERO).open(&file).await;
    assert!(no_time.expect_err("no time").to_string().contains("deadline of 0"));
}

#[tokio::test]
async fn survives_errors_of_the_database() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("app.db");
    let store = open(&file).await;
    let key = SessionId::generate().key();
    let mut other = other(&file).await;
    // The table is missing for a while, so every round fails.
    sqlx::raw_sql("ALTER TABLE sessions RENAME TO away").execute(&mut other).await.expect("renamed");
    store.read(&key).await.expect_err("the table is away");
    let error = store.maintenance().expect("it has it").purge_expired(1).await;
    error.expect_err("the table is away");
    tokio::time::sleep(Duration::from_millis(200)).await;
    sqlx::raw_sql("ALTER TABLE away RENAME TO sessions").execute(&mut other).await.expect("renamed");
    let write = Write::new("a session", ttl(50));
    assert!(store.write(&key, write, When::Absent).await.expect("a write").is_written());
    timeout(PATIENCE, async {
        while rows(&mut other).await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("it goes on");
}

#[tokio::test]
async fn ends_with_the_last_handle() {
    let directory = tempfile::tempdir().expect("a directory");
    let before = Handle::current().metrics().num_alive_tasks();
    let store = open(&directory.path().join("app.db")).await;
    let second = store.clone();
    store.ping().await.expect("it answers");
    assert!(Handle::current().metrics().num_alive_tasks() > before, "it has tasks");
    drop(store);
    second.ping().await.expect("it answers");
    drop(second);
    timeout(PATIENCE, async {
        while Handle::current().metrics().num_alive_tasks() > before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("its tasks end");
}
