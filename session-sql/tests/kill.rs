//! A writing process is killed at random points. After that, the file opens, acknowledged changes
//! are there, and deleted sessions are not.

use std::{
    collections::HashMap,
    env,
    io::{BufRead, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdout, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use libtest_mimic::{Arguments, Trial};
use rand::RngExt;
use session_core::{Expected, SessionId, SessionKey, SessionStore, Ttl, Version, When, Write};
use session_sql::SqliteStore;
use sqlx::{Connection, SqliteConnection};

/// Tells this program to be the writer, and names the file.
const FILE: &str = "SESSION_SQL_KILLED_WRITER";

fn hour() -> Ttl {
    Ttl::new(Duration::from_hours(1)).expect("a ttl")
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    if let Ok(file) = env::var(FILE) {
        runtime.block_on(write_until_killed(file));
        return ExitCode::FAILURE;
    }
    let rounds = 20 * env::var("SESSION_SOAK").ok().and_then(|n| n.parse::<u32>().ok()).unwrap_or(1).max(1);
    let trial = Trial::test("nothing_acknowledged_is_lost_by_kill_9", move || {
        runtime.block_on(kill_and_look(rounds));
        Ok(())
    });
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

/// Sixteen tasks create, replace, rename and delete sessions. They print a line before each change,
/// and another one after it.
async fn write_until_killed(file: String) {
    let store = SqliteStore::builder().wal_autocheckpoint(50).open(file).await.expect("a store");
    let tasks = (0..16).map(|_| tokio::spawn(churn(store.clone())));
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("it goes on until it is killed");
    }
}

/// Writes a line in one call, so that lines are whole, or cut off at the very end.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush()).expect("somebody listens");
}

fn hex(version: Version) -> String {
    format!("{:032x}", u128::from_be_bytes(*version.as_bytes()))
}

async fn churn(store: SqliteStore) {
    loop {
        let (mut key, mut when) = (SessionId::generate().key(), When::Absent);
        for step in 0..6 {
            let len = rand::rng().random_range(0..6_000);
            let next = Write::new(vec![b'x'; len], hour());
            let version = next.version;
            if let (4, When::Version(seen)) = (step, when) {
                let new = SessionId::generate().key();
                say(&format!("try {key} gone"));
                say(&format!("try {new} {}", hex(version)));
                let renamed = store.rename(&key, &new, next, seen).await.expect("a rename");
                assert_eq!(renamed, session_core::RenameOutcome::Renamed);
                say(&format!("did {key} gone"));
                key = new;
            } else {
                say(&format!("try {key} {}", hex(version)));
                assert!(store.write(&key, next, when).await.expect("a write").is_written());
            }
            say(&format!("did {key} {}", hex(version)));
            when = When::Version(version);
        }
        if rand::rng().random_bool(0.5) {
            say(&format!("try {key} gone"));
            let _ = store.delete(&key, Expected::Any).await.expect("a delete");
            say(&format!("did {key} gone"));
        }
    }
}

/// What the writer reported of a key.
#[derive(Debug, Default)]
struct Said {
    /// The last state that was acknowledged: a version, or "gone".
    done: Option<String>,
    /// The state that was begun after that.
    begun: Option<String>,
}

fn listen(said: &mut HashMap<String, Said>, out: ChildStdout) -> usize {
    let mut acknowledged = 0;
    for line in BufReader::new(out).lines() {
        let Ok(line) = line else { break };
        let mut words = line.split(' ');
        let (Some(what), Some(key), Some(state)) = (words.next(), words.next(), words.next()) else { break };
        let of_key = said.entry(key.to_owned()).or_default();
        if what == "try" {
            of_key.begun = Some(state.to_owned());
        } else if state == "gone" || state.len() == 2 * Version::LEN {
            acknowledged += 1;
            of_key.done = Some(state.to_owned());
            of_key.begun = None;
        }
    }
    acknowledged
}

fn spawn_writer(file: &Path) -> Child {
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.env(FILE, file).stdout(Stdio::piped()).spawn().expect("a child")
}

async fn kill_and_look(rounds: u32) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("app.db");
    let mut said = HashMap::new();
    let mut acknowledged = 0;
    for round in 0..rounds {
        // A new file every ten rounds, so that its creation is interrupted as well, and listings
        // stay short.
        if round % 10 == 0 {
            said.clear();
            for suffix in ["", "-wal", "-shm"] {
                let _ = std::fs::remove_file(directory.path().join(format!("app.db{suffix}")));
            }
        }
        let mut child = spawn_writer(&file);
        let out = child.stdout.take().expect("its output");
        let listener = std::thread::spawn(move || {
            let mut said = HashMap::new();
            (listen(&mut said, out), said)
        });
        let patience = Duration::from_micros(rand::rng().random_range(5_000..400_000));
        let begun = Instant::now();
        tokio::time::sleep(patience).await;
        child.kill().expect("kill -9");
        child.wait().expect("it is dead");
        let (some, new) = listener.join().expect("the listener");
        acknowledged += some;
        said.extend(new);
        look(&file, &mut said, &format!("round {round}, killed after {:?}", begun.elapsed())).await;
    }
    assert!(acknowledged > 100 * rounds as usize, "only {acknowledged} changes in {rounds} rounds");
}

/// Checks the file against what the writer reported.
async fn look(file: &Path, said: &mut HashMap<String, Said>, round: &str) {
    let store = SqliteStore::builder().open(file).await.unwrap_or_else(|error| panic!("{round}: {error:?}"));
    for (hex_key, Said { done, begun }) in said.iter_mut() {
        let bytes: Vec<u8> = (0..hex_key.len() / 2)
            .map(|at| u8::from_str_radix(&hex_key[2 * at..2 * at + 2], 16).expect("digits"))
            .collect();
        // The line was cut off.
        let Ok(key) = SessionKey::try_from(&bytes[..]) else { continue };
        let found = store.read(&key).await.unwrap_or_else(|error| panic!("{round}: {error:?}"));
        let found = found.map_or_else(|| "gone".to_owned(), |record| hex(record.version));
        let before = done.clone().unwrap_or_else(|| "gone".to_owned());
        let possible = found == before || Some(&found) == begun.as_ref();
        assert!(possible, "{round}: {hex_key} is {found}, was acknowledged as {before}, begun: {begun:?}");
        (*done, *begun) = (Some(found), None);
    }
    store.close().await.expect("closed");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut connection = SqliteConnection::connect_with(&options).await.expect("a connection");
    let check: String =
        sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut connection).await.expect("a check");
    assert_eq!(check, "ok", "{round}");
    connection.close().await.expect("closed");
}
