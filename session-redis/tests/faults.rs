//! Faults under load: acknowledged changes stay, deleted sessions stay deleted, and service resumes
//! by itself.

mod support;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use session_conformance::{FaultWorkload, Memory};
use session_core::{SessionId, SessionStore, Ttl, When, Write, WriteOutcome};
use session_redis::RedisStore;
use session_servers::{
    Proxy,
    redis::{Redis, RedisCluster, RedisSentinels, RedisServer},
};
use support::{
    command,
    harness::{self, cases},
    migration,
};
use tokio::time::sleep;

/// The number of tasks that change sessions.
const TASKS: u32 = 24;

/// How long service may take to resume after a server is back, as the README promises.
const RECOVERY: Duration = Duration::from_secs(2);

/// How long an acknowledged change may take to reach a replica on this machine.
const LAG: Duration = Duration::from_millis(500);

async fn connect(url: &str) -> RedisStore {
    RedisStore::builder().deadline(Duration::from_secs(1)).connect(url).await.expect("a store")
}

/// A server that syncs its log at each change loses nothing when it is killed.
async fn kill_and_restart_with_a_log() {
    let always = ["--appendonly", "yes", "--appendfsync", "always"];
    let server = Redis::new().args(always).start().await.expect("a server");
    let store = connect(&server.url()).await;
    let churn = FaultWorkload::start(store.clone(), TASKS, false);
    for _ in 0..3 {
        churn.until_more(500, Duration::from_secs(20)).await;
        server.kill().await.expect("killed");
        sleep(Duration::from_millis(200)).await;
        server.restart().await.expect("restarted");
        churn.until_more(1, RECOVERY).await;
    }
    churn.until_more(200, Duration::from_secs(20)).await;
    assert!(churn.failed() > 0, "nobody felt it");
    churn.check(Memory::Keeps).await;
}

async fn freeze_and_thaw() {
    let server = RedisServer::start().await.expect("a server");
    let store = connect(&server.url()).await;
    let churn = FaultWorkload::start(store.clone(), TASKS, false);
    for frozen in [300, 1_500, 2_500] {
        churn.until_more(500, Duration::from_secs(20)).await;
        server.freeze().await.expect("frozen");
        sleep(Duration::from_millis(frozen)).await;
        server.thaw().expect("thawed");
        churn.until_more(1, RECOVERY).await;
    }
    churn.until_more(200, Duration::from_secs(20)).await;
    churn.check(Memory::Keeps).await;
}

/// Replication lags behind: changes that were acknowledged right before a failover may be lost, and
/// nothing else.
async fn failover_by_sentinels() {
    let down_after = Duration::from_secs(1);
    let sentinels = RedisSentinels::start(&[], down_after).await.expect("sentinels");
    let store = connect(&sentinels.url()).await;
    let churn = FaultWorkload::start(store.clone(), TASKS, true);
    churn.until_more(1_000, Duration::from_secs(20)).await;
    sleep(LAG).await;
    let forget_after = Instant::now().checked_sub(LAG).expect("it runs longer");
    sentinels.servers()[0].kill().await.expect("killed");
    // The sentinels must agree that the server is down, elect a leader, and promote the replica.
    churn.until_more(1, Duration::from_secs(15)).await;
    churn.until_more(500, Duration::from_secs(20)).await;
    churn.check(Memory::May { forget_after }).await;
}

/// The same with a frozen primary, which still acts as a primary after the thaw.
async fn failover_from_a_frozen_primary() {
    let sentinels = RedisSentinels::start(&[], Duration::from_secs(1)).await.expect("sentinels");
    let store = connect(&sentinels.url()).await;
    let churn = FaultWorkload::start(store.clone(), TASKS, true);
    churn.until_more(1_000, Duration::from_secs(20)).await;
    sleep(LAG).await;
    let forget_after = Instant::now().checked_sub(LAG).expect("it runs longer");
    sentinels.servers()[0].freeze().await.expect("frozen");
    churn.until_more(100, Duration::from_secs(15)).await;
    sentinels.servers()[0].thaw().expect("thawed");
    churn.until_more(1_000, Duration::from_secs(20)).await;
    churn.check(Memory::May { forget_after }).await;
}

async fn failover_in_a_cluster() {
    let builder = RedisCluster::builder().node_timeout(Duration::from_secs(1));
    let cluster = builder.start().await.expect("a cluster");
    let store = connect(&cluster.url()).await;
    let churn = FaultWorkload::start(store.clone(), TASKS, true);
    churn.until_more(1_000, Duration::from_secs(20)).await;
    sleep(LAG).await;
    let forget_after = Instant::now().checked_sub(LAG).expect("it runs longer");
    cluster.nodes()[1].kill().await.expect("killed");
    // While a shard is not served, the whole cluster refuses requests.
    sleep(Duration::from_secs(2)).await;
    churn.until_more(1_000, Duration::from_secs(20)).await;
    cluster.nodes()[1].restart().await.expect("restarted");
    churn.until_more(1_000, Duration::from_secs(20)).await;
    cluster.wait_until_ready().await.expect("whole");
    sleep(RECOVERY).await;
    churn.check(Memory::May { forget_after }).await;
}

async fn slots_move() {
    let cluster = RedisCluster::start().await.expect("a cluster");
    let store = RedisStore::connect(&cluster.url()).await.expect("a store");
    let churn = FaultWorkload::start(store.clone(), TASKS, false);
    churn.until_more(12_000, Duration::from_mins(1)).await;
    let moved = migration::move_shards(&cluster, 0, 1, 40).await;
    assert!(moved.keys > 100, "only {} keys were moved", moved.keys);
    churn.until_more(500, Duration::from_secs(20)).await;
    assert_eq!(churn.failed(), 0, "a slot that moves is no outage");
    churn.check(Memory::Keeps).await;
}

async fn each_connection_is_killed() {
    let server = RedisServer::start().await.expect("a server");
    let store = RedisStore::builder().connections(4).connect(&server.url()).await.expect("a store");
    let churn = FaultWorkload::start(store.clone(), TASKS, false);
    let mut connection = command::connect(&server.url()).await;
    for _ in 0..3 {
        churn.until_more(200, Duration::from_secs(20)).await;
        let list = command::run(&mut connection, &["CLIENT", "LIST", "TYPE", "normal"]).await;
        let list: String = redis::from_redis_value(list).expect("a text");
        let me = command::run(&mut connection, &["CLIENT", "ID"]).await;
        let me: String = redis::from_redis_value(me).expect("a number");
        let ids = list.lines().filter_map(|line| line.strip_prefix("id=")?.split(' ').next());
        let mut killed = 0;
        for id in ids.filter(|id| *id != me) {
            command::run(&mut connection, &["CLIENT", "KILL", "ID", id]).await;
            churn.until_more(20, RECOVERY).await;
            killed += 1;
        }
        assert!(killed >= 4, "there were {killed} connections");
    }
    churn.check(Memory::Keeps).await;
}

async fn scripts_are_flushed() {
    let server = RedisServer::start().await.expect("a server");
    let store = connect(&server.url()).await;
    let churn = FaultWorkload::start(store.clone(), TASKS, false);
    let mut connection = command::connect(&server.url()).await;
    for _ in 0..100 {
        churn.until_more(20, Duration::from_secs(20)).await;
        command::run(&mut connection, &["SCRIPT", "FLUSH"]).await;
    }
    assert_eq!(churn.failed(), 0, "a script that is not loaded is no outage");
    churn.check(Memory::Keeps).await;
}

/// Increments whose replies are sometimes lost either count once, or report that they may have been
/// applied.
async fn replies_vanish() {
    let server = RedisServer::start().await.expect("a server");
    let proxy = Proxy::start(server.addr()).await.expect("a proxy");
    let store = connect(&format!("redis://{}", proxy.addr())).await;
    let key = SessionId::generate().key();
    let write = |count: u64| Write::new(count.to_string(), Ttl::MAX);
    assert!(store.write(&key, write(0), When::Absent).await.expect("created").is_written());
    let tasks = (0..8).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            let (mut sure, mut unsure) = (0_u64, 0_u64);
            let until = Instant::now() + Duration::from_secs(8);
            while Instant::now() < until {
                let Ok(Some(seen)) = store.read(&key).await else { continue };
                let count: u64 = std::str::from_utf8(&seen.data).expect("digits").parse().expect("a number");
                match store.write(&key, write(count + 1), When::Version(seen.version)).await {
                    Ok(WriteOutcome::Written) => sure += 1,
                    Ok(WriteOutcome::Conflict(_)) => {}
                    Err(error) if error.may_have_applied() => unsure += 1,
                    Err(error) => assert!(error.is_transient(), "{error:?}"),
                }
            }
            (sure, unsure)
        })
    });
    let tasks: Vec<_> = tasks.collect();
    for vanish in [20, 300, 1_200] {
        sleep(Duration::from_millis(500)).await;
        proxy.swallow_replies(true);
        sleep(Duration::from_millis(vanish)).await;
        proxy.swallow_replies(false);
    }
    let (mut sure, mut unsure) = (0, 0);
    for task in tasks {
        let (some, perhaps) = task.await.expect("no panic");
        (sure, unsure) = (sure + some, unsure + perhaps);
    }
    let last = store.read(&key).await.expect("it is back").expect("it is live");
    let count: u64 = std::str::from_utf8(&last.data).expect("digits").parse().expect("a number");
    assert!((sure..=sure + unsure).contains(&count), "{count} of {sure} sure and {unsure} unsure increments");
    assert!(sure > 100, "only {sure} increments");
}

/// A black hole that keeps its connections is detected and replaced by new connections, although
/// nothing is closed.
async fn a_black_hole() {
    let server = RedisServer::start().await.expect("a server");
    let proxy = Proxy::start(server.addr()).await.expect("a proxy");
    let store = connect(&format!("redis://{}", proxy.addr())).await;
    store.ping().await.expect("it answers");
    for connection in proxy.connections() {
        assert!(proxy.freeze_connection(connection));
    }
    let begun = Instant::now();
    while store.ping().await.is_err() {
        assert!(begun.elapsed() < RECOVERY + Duration::from_secs(1), "not after {:?}", begun.elapsed());
    }
}

fn main() -> ExitCode {
    harness::main(cases![
        kill_and_restart_with_a_log,
        freeze_and_thaw,
        failover_by_sentinels,
        failover_from_a_frozen_primary,
        failover_in_a_cluster,
        slots_move,
        each_connection_is_killed,
        scripts_are_flushed,
        replies_vanish,
        a_black_hole,
    ])
}
