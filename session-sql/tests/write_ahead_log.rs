//! The write-ahead log stays bounded, and moving it loses nothing.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use session_core::{SessionId, SessionKey, SessionStore, Ttl, Version, When, Write};
use session_sql::SqliteStore;
use sqlx::{Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions};

const PAGES: u32 = 200;
const PAGE: u64 = 4_096 + 24;

fn write(len: usize) -> Write {
    Write::new(vec![7; len], Ttl::new(Duration::from_hours(1)).expect("a ttl"))
}

fn log_len(file: &Path) -> u64 {
    fs::metadata(file.with_extension("db-wal")).map_or(0, |log| log.len())
}

/// The number of pages in the log. SQLite does not report it while the store is moving the log.
async fn pages_in_log(connection: &mut SqliteConnection) -> u64 {
    for _ in 0..1_000 {
        let look = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)");
        let row = look.fetch_one(&mut *connection).await.expect("a look");
        if let Ok(pages) = u64::try_from(row.get::<i64, _>(1)) {
            return pages;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the log is being moved all the time");
}

/// Runs 64 tasks that write without a pause, each to its own session.
async fn write_without_a_pause(store: &SqliteStore, rounds: usize) -> Vec<(SessionKey, Version)> {
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let (key, mut when) = (SessionId::generate().key(), When::Absent);
                let mut version = Version::random();
                for _ in 0..rounds {
                    let next = write(3_000);
                    version = next.version;
                    assert!(store.write(&key, next, when).await.expect("a write").is_written());
                    when = When::Version(version);
                }
                (key, version)
            })
        })
        .collect();
    let mut written = Vec::new();
    for task in tasks {
        written.push(task.await.expect("it writes to the end"));
    }
    written
}

async fn all_there(store: &SqliteStore, written: &[(SessionKey, Version)]) {
    for (key, version) in written {
        assert_eq!(store.read(key).await.expect("a read").expect("it is live").version, *version);
    }
}

static LONGEST: AtomicU64 = AtomicU64::new(0);
static DONE: AtomicBool = AtomicBool::new(false);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stays_bounded_while_somebody_writes_without_a_pause() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("app.db");
    let store = SqliteStore::builder().wal_autocheckpoint(PAGES).open(&file).await.expect("a store");
    let watching = tokio::spawn({
        let file = file.clone();
        async move {
            while !DONE.load(Ordering::SeqCst) {
                LONGEST.fetch_max(log_len(&file), Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    let written = write_without_a_pause(&store, 150).await;
    DONE.store(true, Ordering::SeqCst);
    watching.await.expect("no panic");
    let longest = LONGEST.load(Ordering::SeqCst) / PAGE;
    // The target is four times the length. At an estimated six times, a writer restarts the log
    // itself, whatever else the machine does.
    assert!(longest > 0 && longest <= 10 * u64::from(PAGES), "{longest} pages");
    all_there(&store, &written).await;
    store.close().await.expect("closed");
    assert_eq!(log_len(&file), 0, "closing moves the rest");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_moved_when_a_reader_that_was_in_the_way_is_gone() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("app.db");
    let store = SqliteStore::builder().wal_autocheckpoint(PAGES).open(&file).await.expect("a store");
    let first = write_without_a_pause(&store, 2).await;
    let options = SqliteConnectOptions::new().filename(&file);
    let mut reader = SqliteConnection::connect_with(&options).await.expect("a connection");
    sqlx::raw_sql("BEGIN; SELECT count(*) FROM sessions").execute(&mut reader).await.expect("it reads");
    let second = write_without_a_pause(&store, 60).await;
    let grown = log_len(&file);
    assert!(grown / PAGE > u64::from(PAGES), "the reader keeps the log from starting anew");
    sqlx::raw_sql("COMMIT").execute(&mut reader).await.expect("it is done");
    let third = write_without_a_pause(&store, 60).await;
    let in_log = pages_in_log(&mut reader).await;
    assert!(in_log < grown / PAGE, "it began anew: {in_log} pages, and {} before", grown / PAGE);
    for written in [first, second, third] {
        all_there(&store, &written).await;
    }
}
