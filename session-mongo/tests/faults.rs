//! Faults under load: acknowledged changes stay, deleted sessions stay deleted, and service resumes
//! by itself.

mod support;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use session_conformance::{FaultWorkload, Memory};
use session_core::{Error, SessionId, SessionKey, SessionStore, Ttl, When, Write, WriteOutcome};
use session_mongo::{BatchSettings, MongoStore, MongoStoreBuilder};
use session_servers::{
    Proxy,
    mongo::{MongoReplicaSet, MongoServer},
};
use support::harness::{self, cases};
use tokio::{task::JoinHandle, time::sleep};

/// The number of tasks that change sessions.
const TASKS: u32 = 16;

/// After a silence of this length, another member takes over.
const ELECTION: Duration = Duration::from_secs(1);

/// How long service may take to resume after a server is back, as the README promises.
const RECOVERY: Duration = Duration::from_secs(4);

/// How long an election may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn settings() -> MongoStoreBuilder {
    MongoStore::builder().database("tests").deadline(Duration::from_secs(5))
}

async fn three() -> (MongoReplicaSet, MongoStore) {
    let set = MongoReplicaSet::start(3, &[], ELECTION).await.expect("a replica set");
    let store = settings().connect(&set.url()).await.expect("a store");
    (set, store)
}

async fn step_down() {
    let (set, store) = three().await;
    let churn = FaultWorkload::start(store.clone(), TASKS, false);
    for _ in 0..2 {
        churn.until_more(300, PATIENCE).await;
        set.step_down().await.expect("it steps down");
        churn.until_more(100, PATIENCE).await;
        set.wait_until_ready().await.expect("a new primary");
    }
    churn.until_more(300, PATIENCE).await;
    churn.check(Memory::Keeps).await;
}

async fn kill_the_primary() {
    let (set, store) = three().await;
    let churn = FaultWorkload::start(store.clone(), TASKS, false);
    for _ in 0..2 {
        churn.until_more(300, PATIENCE).await;
        let primary = set.primary().await.expect("a primary");
        primary.kill().await.expect("killed");
        churn.until_more(100, PATIENCE).await;
        primary.restart().await.expect("restarted");
        set.wait_until_ready().await.expect("whole again");
    }
    churn.until_more(300, PATIENCE).await;
    churn.check(Memory::Keeps).await;
}

/// The primary is frozen until another member replaces it. After the thaw, it still acts as the
/// primary.
async fn freeze_the_primary() {
    let (set, store) = three().await;
    let churn = FaultWorkload::start(store.clone(), TASKS, false);
    churn.until_more(300, PATIENCE).await;
    let primary = set.primary().await.expect("a primary");
    primary.freeze().await.expect("frozen");
    churn.until_more(100, PATIENCE).await;
    primary.thaw().expect("thawed");
    set.wait_until_ready().await.expect("whole again");
    churn.until_more(300, PATIENCE).await;
    assert!(churn.failed() > 0, "nobody felt it");
    churn.check(Memory::Keeps).await;
}

async fn freeze_and_thaw_a_standalone() {
    let server = MongoServer::start().await.expect("a server");
    let store = settings().deadline(Duration::from_secs(1)).connect(&server.url()).await.expect("a store");
    let churn = FaultWorkload::start(store.clone(), TASKS, false);
    for frozen in [300, 1_500, 6_000] {
        churn.until_more(200, PATIENCE).await;
        server.freeze().await.expect("frozen");
        sleep(Duration::from_millis(frozen)).await;
        server.thaw().expect("thawed");
        churn.until_more(1, RECOVERY).await;
    }
    churn.until_more(200, PATIENCE).await;
    churn.check(Memory::Keeps).await;
}

async fn kill_and_restart_a_standalone() {
    let server = MongoServer::start().await.expect("a server");
    let store = settings().deadline(Duration::from_secs(1)).connect(&server.url()).await.expect("a store");
    let churn = FaultWorkload::start(store.clone(), TASKS, false);
    for _ in 0..2 {
        churn.until_more(200, PATIENCE).await;
        server.kill().await.expect("killed");
        sleep(Duration::from_millis(200)).await;
        server.restart().await.expect("restarted");
        churn.until_more(1, RECOVERY).await;
    }
    churn.until_more(200, PATIENCE).await;
    assert!(churn.failed() > 0, "nobody felt it");
    churn.check(Memory::Keeps).await;
}

/// A server behind a proxy: standalone, or the only member of its replica set.
struct Behind {
    proxy: Proxy,
    /// Bypasses the proxy.
    direct: MongoStore,
    store: MongoStore,
    /// Kept because the server ends when this is dropped.
    _server: Box<dyn Send + Sync>,
}

async fn behind_a_proxy(replicated: bool) -> Behind {
    if replicated {
        let server = MongoReplicaSet::member().start().await.expect("a server");
        let (addr, url) = (server.addr(), server.url());
        let proxy = Proxy::start(addr).await.expect("a proxy");
        let set = MongoReplicaSet::initiate(vec![server], vec![proxy.addr()], ELECTION)
            .await
            .expect("a replica set");
        let store = settings().connect(&set.url()).await.expect("a store");
        let direct = settings().connect(&url).await.expect("a store");
        Behind { proxy, direct, store, _server: Box::new(set) }
    } else {
        let server = MongoServer::start().await.expect("a server");
        let proxy = Proxy::start(server.addr()).await.expect("a proxy");
        let url = format!("mongodb://{}/?directConnection=true", proxy.addr());
        let store = settings().connect(&url).await.expect("a store");
        let direct = settings().connect(&server.url()).await.expect("a store");
        Behind { proxy, direct, store, _server: Box::new(server) }
    }
}

async fn replies_vanish_of_a_standalone() {
    replies_vanish(behind_a_proxy(false).await).await;
}

async fn replies_vanish_of_a_replica_set() {
    replies_vanish(behind_a_proxy(true).await).await;
}

/// Increments whose replies are sometimes lost either count once, or report that they may have been
/// applied.
async fn replies_vanish(behind: Behind) {
    let key = SessionId::generate().key();
    let write = |count: u64| Write::new(count.to_string(), Ttl::MAX);
    let store = &behind.store;
    assert!(store.write(&key, write(0), When::Absent).await.expect("created").is_written());
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let (mut sure, mut unsure) = (0_u64, 0_u64);
                let until = Instant::now() + Duration::from_secs(12);
                while Instant::now() < until {
                    let Ok(Some(seen)) = store.read(&key).await else { continue };
                    let count: u64 = number(&seen.data);
                    match store.write(&key, write(count + 1), When::Version(seen.version)).await {
                        Ok(WriteOutcome::Written) => sure += 1,
                        Ok(WriteOutcome::Conflict(_)) => {}
                        Err(error) if error.may_have_applied() => unsure += 1,
                        Err(error) => assert!(error.is_transient(), "{error:?}"),
                    }
                }
                (sure, unsure)
            })
        })
        .collect();
    for vanish in [20, 300, 1_200] {
        sleep(Duration::from_millis(500)).await;
        behind.proxy.swallow_replies(true);
        sleep(Duration::from_millis(vanish)).await;
        behind.proxy.cut_all();
        behind.proxy.swallow_replies(false);
    }
    let (mut sure, mut unsure) = (0, 0);
    for task in tasks {
        let (some, perhaps) = task.await.expect("no panic");
        (sure, unsure) = (sure + some, unsure + perhaps);
    }
    let last = store.read(&key).await.expect("it is back").expect("it is live");
    let count = number(&last.data);
    assert!((sure..=sure + unsure).contains(&count), "{count} of {sure} sure and {unsure} unsure increments");
    assert!(sure > 100, "only {sure} increments");
}

fn number(data: &[u8]) -> u64 {
    std::str::from_utf8(data).expect("digits").parse().expect("a number")
}

/// A write whose reply is lost, and which another write replaces before it is sent again.
async fn overwritten_before_it_is_sent_again(behind: &Behind) -> (SessionKey, Result<WriteOutcome, Error>) {
    let key = SessionId::generate().key();
    let created = Write::new("created", Ttl::MAX);
    let (first, second) = (Write::new("first", Ttl::MAX), Write::new("second", Ttl::MAX));
    let (seen, mine) = (created.version, first.version);
    assert!(behind.store.write(&key, created, When::Absent).await.expect("created").is_written());
    behind.proxy.swallow_replies(true);
    let store = behind.store.clone();
    let writing: JoinHandle<_> =
        tokio::spawn(async move { store.write(&key, first, When::Version(seen)).await });
    // The write is carried out, but its reply is lost.
    while behind.direct.read(&key).await.expect("it is there").expect("it is live").version != mine {
        sleep(Duration::from_millis(5)).await;
    }
    let overwritten = behind.direct.write(&key, second, When::Version(mine)).await.expect("it is there");
    assert!(overwritten.is_written());
    behind.proxy.cut_all();
    behind.proxy.swallow_replies(false);
    (key, writing.await.expect("no panic"))
}

/// The server recognises the command by its number.
async fn a_lost_reply_is_no_conflict() {
    let behind = behind_a_proxy(true).await;
    let (key, outcome) = overwritten_before_it_is_sent_again(&behind).await;
    assert_eq!(outcome.expect("it was recognised"), WriteOutcome::Written);
    let last = behind.direct.read(&key).await.expect("it is there").expect("it is live");
    assert_eq!(last.data, "second", "and it was not carried out twice");
}

/// A standalone server does not know the number, and no trace of the write is left.
async fn a_lost_reply_is_in_doubt_on_a_standalone() {
    let behind = behind_a_proxy(false).await;
    let (_, outcome) = overwritten_before_it_is_sent_again(&behind).await;
    let error = outcome.expect_err("nobody can know");
    assert!(error.may_have_applied(), "{error:?}");
}

/// A black hole that keeps its connections is detected and replaced by new connections, although
/// nothing is closed.
async fn a_black_hole() {
    let server = MongoServer::start().await.expect("a server");
    let proxy = Proxy::start(server.addr()).await.expect("a proxy");
    let url = format!("mongodb://{}/?directConnection=true", proxy.addr());
    let builder = settings().deadline(Duration::from_secs(1)).batching(BatchSettings::disabled());
    let store = builder.connect(&url).await.expect("a store");
    store.ping().await.expect("it answers");
    for connection in proxy.connections() {
        assert!(proxy.freeze_connection(connection));
    }
    let begun = Instant::now();
    while store.ping().await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(10), "not after {:?}", begun.elapsed());
    }
}

fn main() -> ExitCode {
    harness::main(cases![
        step_down,
        kill_the_primary,
        freeze_the_primary,
        freeze_and_thaw_a_standalone,
        kill_and_restart_a_standalone,
        replies_vanish_of_a_standalone,
        replies_vanish_of_a_replica_set,
        a_lost_reply_is_no_conflict,
        a_lost_reply_is_in_doubt_on_a_standalone,
        a_black_hole,
    ])
}
