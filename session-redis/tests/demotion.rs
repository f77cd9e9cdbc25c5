//! The store does not read from a server that is no longer a primary, whichever way it got there.

mod support;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use session_core::{
    DeleteOutcome, Event, Expected, Owner, OwnerChange, SessionId, SessionKey, SessionStore, Ttl, When, Write,
};
use session_redis::RedisStore;
use session_servers::{
    Proxy,
    redis::{Redis, RedisServer},
};
use support::{
    command,
    harness::{self, cases},
};
use tokio::time::{sleep, timeout};

/// A primary and its replica, which can be cut off from it.
struct Pair {
    primary: RedisServer,
    replica: RedisServer,
}

impl Pair {
    async fn start(args: &[&str]) -> Self {
        let primary = RedisServer::start().await.expect("a server");
        let port = primary.port().to_string();
        let replica = Redis::new().args(["--replicaof", "127.0.0.1", &port]).args(args.iter().copied());
        Self { replica: replica.start().await.expect("a replica"), primary }
    }

    /// Waits until the replica has this number of keys.
    async fn until_replicated(&self, keys: i64) {
        let mut connection = command::connect(&self.replica.url()).await;
        while command::run(&mut connection, &["DBSIZE"]).await != redis::Value::Int(keys) {
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Makes the replica keep its data and its role: it then follows a server that does not exist.
    async fn cut_off(&self) {
        command::run(&mut command::connect(&self.replica.url()).await, &["REPLICAOF", "127.0.0.1", "1"])
            .await;
    }
}

async fn create(store: &RedisStore, owner: &Owner) -> SessionKey {
    let key = SessionId::generate().key();
    let write = Write::new("x", Ttl::MAX).owner(OwnerChange::Set(owner.clone()));
    assert!(store.write(&key, write, When::Absent).await.expect("a write").is_written());
    key
}

/// Reads an ended session for `span`, in every possible way. Each answer must be an error or say
/// that there is no such session. Returns the number of single reads that succeeded.
async fn sees_nothing(store: &RedisStore, key: &SessionKey, owner: &Owner, span: Duration) -> usize {
    let begun = Instant::now();
    let mut answers = 0;
    while begun.elapsed() < span {
        if let Ok(found) = store.read(key).await {
            assert!(found.is_none(), "an ended session was read after {:?}", begun.elapsed());
            answers += 1;
        }
        for found in store.read_many(&[*key, SessionId::generate().key()]).await.into_iter().flatten() {
            assert!(found.is_none(), "an ended session was read in a batch after {:?}", begun.elapsed());
        }
        if let Ok(found) = store.owners().expect("it has them").list(owner).await {
            assert_eq!(found, [], "an ended session was listed after {:?}", begun.elapsed());
        }
        if let Ok(count) = store.maintenance().expect("it has one").count().await {
            assert_eq!(count, 0, "an ended session was counted after {:?}", begun.elapsed());
        }
        let write = Write::new("y", Ttl::MAX);
        if let Ok(outcome) = store.write(key, write, When::Version(session_core::Version::random())).await {
            assert!(
                matches!(outcome, session_core::WriteOutcome::Conflict(None)),
                "an ended session was in the way after {:?}",
                begun.elapsed()
            );
        }
    }
    answers
}

/// An address leads to a replica for three seconds, as in a failed failover, and then back.
async fn an_address_that_leads_to_a_replica_for_a_while() {
    let pair = Pair::start(&[]).await;
    let proxy = Proxy::start(pair.primary.addr()).await.expect("a proxy");
    let builder = RedisStore::builder().deadline(Duration::from_millis(300));
    let store = builder.connect(&format!("redis://{}", proxy.addr())).await.expect("a store");
    let past = RedisStore::connect(&pair.primary.url()).await.expect("a store");
    let owner = Owner::new("alice").expect("an owner");
    let key = create(&store, &owner).await;
    pair.until_replicated(2).await;
    pair.cut_off().await;
    assert_eq!(past.delete(&key, Expected::Any).await.expect("a delete"), DeleteOutcome::Deleted);
    assert!(RedisStore::connect(&pair.replica.url()).await.is_err(), "a store reads from a replica");

    proxy.redirect(pair.replica.addr());
    proxy.cut_all();
    let answers = sees_nothing(&store, &key, &owner, Duration::from_secs(3)).await;
    assert_eq!(answers, 0, "a replica has answered");
    proxy.redirect(pair.primary.addr());
    proxy.cut_all();
    let answers = sees_nothing(&store, &key, &owner, Duration::from_secs(1)).await;
    assert!(answers > 0, "the primary does not answer");
}

/// A primary that is made a replica keeps its connections, and answers reads on them.
async fn a_primary_that_is_made_a_replica(writable: bool) {
    // The server acts as a primary until it is demoted.
    let server = Redis::new();
    let server = if writable { server.args(["--replica-read-only", "no"]) } else { server };
    let server = server.start().await.expect("a server");
    let builder = RedisStore::builder().deadline(Duration::from_millis(300));
    let store = builder.connect(&server.url()).await.expect("a store");
    let owner = Owner::new("alice").expect("an owner");
    let key = create(&store, &owner).await;
    let mut connection = command::connect(&server.url()).await;
    command::run(&mut connection, &["REPLICAOF", "127.0.0.1", "1"]).await;
    // From here on, what the server returns for the session may be stale.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        store.read(&key).await.expect_err("a read");
        store.owners().expect("it has them").list(&owner).await.expect_err("a list");
        store.maintenance().expect("it has one").count().await.expect_err("a count");
        store.ping().await.expect_err("a ping");
        let error = store.write(&key, Write::new("y", Ttl::MAX), When::Any).await.expect_err("a write");
        assert!(error.is_transient(), "{error}");
    }
    command::run(&mut connection, &["REPLICAOF", "NO", "ONE"]).await;
    let begun = Instant::now();
    while store.read(&key).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(2), "it is a primary again");
    }
}

async fn a_primary_that_is_made_a_replica_is_left_at_once() {
    a_primary_that_is_made_a_replica(false).await;
}

async fn and_also_one_that_takes_writes() {
    a_primary_that_is_made_a_replica(true).await;
}

/// For a server without `WAIT`, such as a proxy, the keep-alive request bounds how long the store
/// reads from it.
async fn without_the_guard_reads_end_within_the_bound() {
    let server = RedisServer::start().await.expect("a server");
    let mut connection = command::connect(&server.url()).await;
    command::run(&mut connection, &["ACL", "SETUSER", "default", "-wait"]).await;
    let keepalive = Duration::from_millis(200);
    let builder = RedisStore::builder().deadline(Duration::from_millis(100)).keepalive(keepalive);
    let store = builder.connect(&server.url()).await.expect("a store");
    let key = create(&store, &Owner::new("alice").expect("an owner")).await;
    command::run(&mut connection, &["REPLICAOF", "127.0.0.1", "1"]).await;
    let begun = Instant::now();
    // Reads go on all the time, so the bound does not depend on an idle connection.
    while store.read(&key).await.is_ok() {
        assert!(begun.elapsed() < 2 * keepalive + Duration::from_secs(1), "after {:?}", begun.elapsed());
    }
    store.read(&key).await.expect_err("it stays so");
}

/// Listeners get `Interrupted`, and later `Missed`, so that caches drop their contents.
async fn a_watch_of_a_server_that_is_made_a_replica_is_interrupted() {
    let server = RedisServer::start().await.expect("a server");
    let keepalive = Duration::from_millis(200);
    let store = RedisStore::builder().keepalive(keepalive).connect(&server.url()).await.expect("a store");
    let mut events = store.watch().expect("it has one").subscribe().await.expect("a stream");
    let mut connection = command::connect(&server.url()).await;
    command::run(&mut connection, &["REPLICAOF", "127.0.0.1", "1"]).await;
    let begun = Instant::now();
    let next = async |events: &mut session_core::EventStream| {
        timeout(Duration::from_secs(20), events.next()).await.expect("it is heard").expect("it goes on")
    };
    assert_eq!(next(&mut events).await, Event::Interrupted);
    assert!(begun.elapsed() < 2 * keepalive + Duration::from_secs(1), "after {:?}", begun.elapsed());
    assert!(timeout(4 * keepalive, events.next()).await.is_err(), "a replica is not listened to");
    command::run(&mut connection, &["REPLICAOF", "NO", "ONE"]).await;
    assert_eq!(next(&mut events).await, Event::Missed);
}

/// A primary whose disk is full or whose replicas are gone refuses writes, but reads from it are
/// correct.
async fn a_primary_that_refuses_writes_is_read_from() {
    let server = Redis::new().start().await.expect("a server");
    let store = RedisStore::builder()
        .deadline(Duration::from_millis(500))
        .connect(&server.url())
        .await
        .expect("a store");
    let key = create(&store, &Owner::new("alice").expect("an owner")).await;
    let mut connection = command::connect(&server.url()).await;
    command::run(&mut connection, &["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    assert!(store.read(&key).await.expect("a read").is_some());
    let error = store.touch(&key, Ttl::MAX).await.expect_err("a change");
    assert!(error.is_transient(), "{error}");
}

fn main() -> ExitCode {
    harness::main(cases![
        an_address_that_leads_to_a_replica_for_a_while,
        a_primary_that_is_made_a_replica_is_left_at_once,
        and_also_one_that_takes_writes,
        without_the_guard_reads_end_within_the_bound,
        a_watch_of_a_server_that_is_made_a_replica_is_interrupted,
        a_primary_that_refuses_writes_is_read_from,
    ])
}
