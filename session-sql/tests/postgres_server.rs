//! What only `PostgreSQL` has: a replica, heap-only updates, and durability per connection.

mod support;

use std::{process::ExitCode, time::Duration};

use session_core::{SessionId, SessionStore, TouchItem, When, Write, WriteItem};
use session_servers::postgres::{Postgres, PostgresServer};
use session_sql::{PostgresStore, SynchronousCommit};
use sqlx::{Connection, PgConnection, Row};
use support::lab::{self, Kind, case, hour, write};
use tokio::time::{Instant, sleep};

const PATIENCE: Duration = Duration::from_secs(20);

/// The maximum lag of the replica.
const MAX_LAG: Duration = Duration::from_millis(500);

async fn ask<T>(url: &str, sql: &'static str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    let mut connection = PgConnection::connect(url).await.expect("connected");
    sqlx::query(sql).fetch_one(&mut connection).await.expect("a row").get(0)
}

async fn run(url: &str, sql: &'static str) {
    let mut connection = PgConnection::connect(url).await.expect("connected");
    sqlx::raw_sql(sql).execute(&mut connection).await.expect("executed");
}

async fn pair() -> (PostgresServer, PostgresServer) {
    let primary = Postgres::new().start().await.expect("it starts");
    let replica = Postgres::new().replica_of(primary.addr()).start().await.expect("it starts");
    (primary, replica)
}

async fn split(primary: &PostgresServer, replica: &PostgresServer) -> PostgresStore {
    let builder = PostgresStore::builder().deadline(Duration::from_secs(2)).replica(replica.url(), MAX_LAG);
    builder.connect(&primary.url()).await.expect("it opens")
}

/// How many sessions the replica was asked for, by its own statistics.
async fn reads_of(server: &PostgresServer) -> i64 {
    // A connection of the store reports its work to the server's statistics once it has been idle
    // for a while.
    ask(
        &server.url(),
        "SELECT coalesce(sum(idx_scan), 0)::bigint FROM pg_stat_user_tables WHERE relname = 'sessions'",
    )
    .await
}

/// Reads until the replica has answered some of the reads.
async fn until_the_replica_reads(store: &PostgresStore, replica: &PostgresServer) {
    let key = SessionId::generate().key();
    assert!(store.write(&key, write("x"), When::Absent).await.expect("it answers").is_written());
    let (begun, before) = (Instant::now(), reads_of(replica).await);
    while reads_of(replica).await == before {
        assert!(store.read_stale(&key).await.expect("it answers").is_some());
        assert!(begun.elapsed() < PATIENCE, "the replica is never asked");
        sleep(Duration::from_millis(5)).await;
    }
}

async fn a_replica_takes_reads_and_own_writes_are_seen(_: Kind) {
    let (primary, replica) = pair().await;
    let store = split(&primary, &replica).await;
    until_the_replica_reads(&store, &replica).await;
    for round in 0..300 {
        let key = SessionId::generate().key();
        let (first, second) = (write("first"), write("second"));
        assert!(store.write(&key, first.clone(), When::Absent).await.expect("it answers").is_written());
        let seen = store.read_stale(&key).await.expect("it answers");
        assert_eq!(seen.expect("it was just written").version, first.version, "round {round}");
        let when = When::Version(first.version);
        assert!(store.write(&key, second.clone(), when).await.expect("it answers").is_written());
        let seen = store.read_stale(&key).await.expect("it answers");
        assert_eq!(seen.expect("it was just written").version, second.version, "round {round}");
        let _ = store.delete(&key, session_core::Expected::Any).await.expect("it answers");
        assert!(store.read_stale(&key).await.expect("it answers").is_none(), "round {round}: it was deleted");
    }
    store.close().await.expect("it closes");
}

async fn a_replica_that_stops_or_lags_is_bypassed(_: Kind) {
    let (primary, replica) = pair().await;
    let store = split(&primary, &replica).await;
    let other = PostgresStore::connect(&primary.url()).await.expect("it opens");
    until_the_replica_reads(&store, &replica).await;
    let key = SessionId::generate().key();
    assert!(other.write(&key, write("0"), When::Absent).await.expect("it answers").is_written());

    for trouble in ["lags", "freezes", "dies"] {
        match trouble {
            "lags" => run(&replica.url(), "SELECT pg_wal_replay_pause()").await,
            "freezes" => replica.freeze().await.expect("frozen"),
            _ => drop(replica.kill().await.expect("killed")),
        }
        // Whatever the replica does, a write of another store is seen within the bound, and no read
        // fails or waits long for the replica.
        for round in 0..5 {
            let (text, begun) = (format!("{trouble} {round}"), Instant::now());
            assert!(
                other.write(&key, write(text.clone()), When::Any).await.expect("it answers").is_written()
            );
            sleep(MAX_LAG).await;
            let seen = store.read_stale(&key).await.expect("it answers").expect("it lives");
            assert_eq!(seen.data, text, "{trouble}: staler than {MAX_LAG:?}");
            assert!(begun.elapsed() < MAX_LAG + Duration::from_secs(2), "{trouble}: {:?}", begun.elapsed());
        }
        match trouble {
            "lags" => run(&replica.url(), "SELECT pg_wal_replay_resume()").await,
            "freezes" => replica.thaw().expect("thawed"),
            _ => replica.restart().await.expect("restarted"),
        }
        until_the_replica_reads(&store, &replica).await;
    }
}

async fn reads_of_a_store_may_all_be_stale(_: Kind) {
    let (primary, replica) = pair().await;
    let builder = PostgresStore::builder().replica(replica.url(), MAX_LAG).stale_reads(true);
    let store = builder.connect(&primary.url()).await.expect("it opens");
    let key = SessionId::generate().key();
    assert!(store.write(&key, write("x"), When::Absent).await.expect("it answers").is_written());
    let (begun, before) = (Instant::now(), reads_of(&replica).await);
    while reads_of(&replica).await == before {
        assert!(store.read(&key).await.expect("it answers").is_some());
        assert!(begun.elapsed() < PATIENCE, "the replica is never asked");
        sleep(Duration::from_millis(5)).await;
    }
}

/// No touch and no write updates an index, and the table does not grow without bound.
async fn touches_and_writes_are_heap_only(_: Kind) {
    let server = Postgres::new()
        .args(["-c", "fsync=off", "-c", "autovacuum_naptime=1s"])
        .start()
        .await
        .expect("it starts");
    let store = PostgresStore::connect(&server.url()).await.expect("it opens");
    let mut items: Vec<WriteItem> = (0..5_000)
        .map(|_| WriteItem {
            key: SessionId::generate().key(),
            write: Write::new(vec![7; 400], hour()),
            when: When::Absent,
        })
        .collect();
    for outcome in store.write_many(&items).await {
        assert!(outcome.expect("it answers").is_written());
    }
    let size = "SELECT pg_total_relation_size('sessions')";
    let before: i64 = ask(&server.url(), size).await;
    let touches: Vec<TouchItem> = items.iter().map(|item| TouchItem { key: item.key, ttl: hour() }).collect();
    for _ in 0..10 {
        for outcome in store.touch_many(&touches).await {
            assert!(outcome.expect("it answers"));
        }
        for item in &mut items {
            item.when = When::Version(item.write.version);
            item.write = Write::new(vec![8; 400], hour());
        }
        for outcome in store.write_many(&items).await {
            assert!(outcome.expect("it answers").is_written());
        }
    }
    store.close().await.expect("it closes");
    let begun = Instant::now();
    let updates = "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'sessions'";
    while ask::<i64>(&server.url(), updates).await < 100_000 {
        assert!(begun.elapsed() < PATIENCE, "the server does not count them");
        sleep(Duration::from_millis(20)).await;
    }
    let hot: f64 = ask(
        &server.url(),
        "SELECT n_tup_hot_upd::float8 / n_tup_upd FROM pg_stat_user_tables WHERE relname = 'sessions'",
    )
    .await;
    assert!(hot > 0.9, "only {hot} of the updates were heap-only");
    let after: i64 = ask(&server.url(), size).await;
    assert!(after < 3 * before, "the table grew from {before} to {after} bytes");
}

async fn each_connection_commits_as_it_is_set(_: Kind) {
    let server = Postgres::new().start().await.expect("it starts");
    let builder = PostgresStore::builder().unlogged(true).synchronous_commit(SynchronousCommit::Off);
    let store = builder.connect(&server.url()).await.expect("it opens");
    assert!(
        store
            .write(&SessionId::generate().key(), write("x"), When::Absent)
            .await
            .expect("it answers")
            .is_written()
    );
    let kind: String =
        ask(&server.url(), "SELECT relpersistence::text FROM pg_class WHERE relname = 'sessions'").await;
    assert_eq!(kind, "u");
    // The unlogged table is not in the log, and no setting of the server was changed.
    assert_eq!(ask::<String>(&server.url(), "SELECT current_setting('synchronous_commit')").await, "on");
}

fn main() -> ExitCode {
    lab::main(vec![
        case(
            "a_replica_takes_reads_and_own_writes_are_seen",
            Kind::Postgres,
            a_replica_takes_reads_and_own_writes_are_seen,
        ),
        case(
            "a_replica_that_stops_or_lags_is_bypassed",
            Kind::Postgres,
            a_replica_that_stops_or_lags_is_bypassed,
        ),
        case("reads_of_a_store_may_all_be_stale", Kind::Postgres, reads_of_a_store_may_all_be_stale),
        case("touches_and_writes_are_heap_only", Kind::Postgres, touches_and_writes_are_heap_only),
        case("each_connection_commits_as_it_is_set", Kind::Postgres, each_connection_commits_as_it_is_set),
    ])
}
