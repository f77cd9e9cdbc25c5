//! Several processes on one file. No process loses a change of another, and each waits for the
//! locks of the others as long as its deadline allows.

use std::{
    env,
    path::Path,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use libtest_mimic::{Arguments, Trial};
use session_core::{ErrorKind, SessionId, SessionKey, SessionStore, Ttl, When, Write, WriteOutcome};
use session_sql::SqliteStore;
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::runtime::{Builder, Runtime};

/// Tells this program to be one of the processes, and names the file and the sessions.
const FILE: &str = "SESSION_SQL_COUNTED_FILE";
const KEYS: &str = "SESSION_SQL_COUNTED_KEYS";

const PROCESSES: u32 = 3;
const TASKS: u32 = 8;
const INCREMENTS: u32 = 40;

fn main() -> ExitCode {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    if let (Ok(file), Ok(keys)) = (env::var(FILE), env::var(KEYS)) {
        let keys = keys.split(',').map(|key| key.parse().expect("a key")).collect();
        runtime.block_on(count(file.as_ref(), keys));
        return ExitCode::SUCCESS;
    }
    let trials = vec![
        trial("counters_of_several_processes_are_exact", counters_of_several_processes_are_exact),
        trial("a_lock_that_is_released_in_time_is_waited_for", a_lock_that_is_released_in_time_is_waited_for),
        trial("a_lock_that_is_kept_is_an_error_in_time", a_lock_that_is_kept_is_an_error_in_time),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial<O: Future<Output = ()> + 'static>(name: &str, test: fn() -> O) -> Trial {
    Trial::test(name, move || {
        let runtime: Runtime =
            Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        runtime.block_on(test());
        Ok(())
    })
}

fn hour() -> Ttl {
    Ttl::new(Duration::from_hours(1)).expect("a ttl")
}

fn number(data: &[u8]) -> u32 {
    u32::from_le_bytes(data.try_into().expect("four bytes"))
}

/// The work of each process: all its tasks increment all the sessions.
async fn count(file: &Path, keys: Vec<SessionKey>) {
    let store = SqliteStore::builder().deadline(Duration::from_mins(1)).open(file).await.expect("a store");
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (store, keys) = (store.clone(), keys.clone());
            tokio::spawn(async move {
                for _ in 0..INCREMENTS {
                    for key in &keys {
                        increment(&store, key).await;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("it counts to the end");
    }
    store.close().await.expect("closed");
}

async fn increment(store: &SqliteStore, key: &SessionKey) {
    let mut found = store.read(key).await.expect("a read").expect("it is live");
    loop {
        let next = Write::new((number(&found.data) + 1).to_le_bytes().to_vec(), hour());
        match store.write(key, next, When::Version(found.version)).await.expect("a write") {
            WriteOutcome::Written => return,
            WriteOutcome::Conflict(other) => found = other.expect("nobody ends it"),
        }
    }
}

async fn counters_of_several_processes_are_exact() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("app.db");
    let store = SqliteStore::builder().open(&file).await.expect("a store");
    let keys: Vec<SessionKey> = (0..4).map(|_| SessionId::generate().key()).collect();
    for key in &keys {
        let zero = Write::new(0_u32.to_le_bytes().to_vec(), hour());
        assert!(store.write(key, zero, When::Absent).await.expect("a write").is_written());
    }
    let names = keys.iter().map(SessionKey::to_string).collect::<Vec<_>>().join(",");
    let processes: Vec<_> = (0..PROCESSES)
        .map(|_| {
            let mut command = Command::new(env::current_exe().expect("this program"));
            command.env(FILE, &file).env(KEYS, &names).stdout(Stdio::null()).spawn().expect("a child")
        })
        .collect();
    for mut process in processes {
        assert!(process.wait().expect("it ends").success());
    }
    for key in &keys {
        let found = store.read(key).await.expect("a read").expect("it is live");
        assert_eq!(number(&found.data), PROCESSES * TASKS * INCREMENTS);
    }
}

/// A connection like that of another process: the stores of this process do not know of it. It
/// holds the write lock.
async fn locked(file: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file);
    let mut other = SqliteConnection::connect_with(&options).await.expect("a connection");
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.expect("the lock");
    other
}

async fn a_lock_that_is_released_in_time_is_waited_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("app.db");
    let store = SqliteStore::builder().open(&file).await.expect("a store");
    let mut other = locked(&file).await;
    let key = SessionId::generate().key();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.write(&key, Write::new("late", hour()), When::Absent).await }
    });
    // Reads do not wait.
    assert_eq!(store.read(&key).await.expect("a read"), None);
    assert!(!waiting.is_finished(), "the lock is held");
    sqlx::raw_sql("COMMIT").execute(&mut other).await.expect("released");
    assert!(waiting.await.expect("no panic").expect("a write").is_written());
    assert_eq!(store.read(&key).await.expect("a read").expect("it is live").data, "late");
}

async fn a_lock_that_is_kept_is_an_error_in_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("app.db");
    let deadline = Duration::from_millis(800);
    let store = SqliteStore::builder().deadline(deadline).open(&file).await.expect("a store");
    let key = SessionId::generate().key();
    let write = || Write::new("later", hour());
    let mut other = locked(&file).await;
    let begun = Instant::now();
    let error = store.write(&key, write(), When::Absent).await.expect_err("the lock is held");
    let took = begun.elapsed();
    assert_eq!(error.kind(), ErrorKind::Unavailable { may_have_applied: false }, "{error}");
    // The store waits three quarters of the deadline. The machine may be slow to wake it.
    assert!(took >= deadline / 2 && took < deadline + Duration::from_secs(2), "{took:?}");
    assert_eq!(store.read(&key).await.expect("reading goes on"), None);
    sqlx::raw_sql("COMMIT").execute(&mut other).await.expect("released");
    assert!(store.write(&key, write(), When::Absent).await.expect("it resumes by itself").is_written());
}
