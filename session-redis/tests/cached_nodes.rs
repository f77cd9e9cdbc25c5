//! Several processes with a cache each share one server. A session that was ended in one of them is
//! not seen in the others, whatever happens to the connections that deliver events.

mod support;

use std::{
    env,
    fmt::Write as _,
    io::{BufRead as _, BufReader, Lines, Write as _, stdin},
    process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::future::join_all;
use session_core::{Expected, SessionId, SessionKey, SessionStore, Ttl, When, Write};
use session_redis::{CacheExt as _, CacheSettings, RedisStore};
use session_servers::{Proxy, redis::RedisServer};
use support::harness::{self, cases};
use tokio::task::{JoinSet, yield_now};

/// Makes this program run as a node. The value holds the server's URL, the maximum staleness of a
/// read, and the silence after which a connection is dead, both in milliseconds.
const NODE: &str = "SESSION_REDIS_NODE";

fn main() -> ExitCode {
    if let Ok(node) = env::var(NODE) {
        let [url, staleness, keepalive]: [&str; 3] =
            node.split(' ').collect::<Vec<_>>().try_into().expect("three words");
        let [staleness, keepalive] =
            [staleness, keepalive].map(|millis| Duration::from_millis(millis.parse().expect("a number")));
        support::runtime().block_on(be_a_node(url, staleness, keepalive));
        return ExitCode::SUCCESS;
    }
    harness::main(cases![
        a_logout_on_one_node_is_seen_on_another,
        a_logout_on_one_node_is_seen_on_two_others,
        nothing_is_seen_for_longer_while_the_connection_that_tells_is_frozen,
        nothing_is_seen_for_longer_after_the_connection_that_tells_was_cut,
        nothing_is_seen_for_longer_while_nobody_can_tell,
    ])
}

/// Nanoseconds by the clock that all processes of a machine share.
fn now() -> u128 {
    UNIX_EPOCH.elapsed().unwrap_or_else(|_| SystemTime::now().elapsed().unwrap_or_default()).as_nanos()
}

fn write(data: String) -> Write {
    Write::new(data, Ttl::new(Duration::from_hours(1)).expect("a ttl"))
}

/// The number of a node's readers that have read their session often enough for it to be cached.
static WARM: AtomicUsize = AtomicUsize::new(0);

/// Runs a node. It reports its progress and takes its orders as lines.
#[allow(clippy::print_stdout, reason = "these lines are how the processes of this test talk")]
async fn be_a_node(url: &str, staleness: Duration, keepalive: Duration) {
    let builder = RedisStore::builder().keepalive(keepalive);
    let store = builder.connect(url).await.expect("a store");
    // As many reads at once as it takes to open all connections for reads and writes.
    let asking = (0..256).map(|_| async { store.read(&SessionId::generate().key()).await.expect("a read") });
    assert!(join_all(asking).await.into_iter().all(|found| found.is_none()));
    println!("connected");
    let mut lines = stdin().lines();
    assert_eq!(lines.next().expect("a line").expect("a line"), "cache");
    let cached = store.cached(CacheSettings::default().max_staleness(staleness)).expect("a cache");
    cached.wait_until_ready().await;
    println!("whole");
    // Load: the node reads and writes its own sessions.
    for n in 0..4 {
        let cached = cached.clone();
        tokio::spawn(async move {
            let key = SessionId::generate().key();
            let mut version = None;
            for step in 0.. {
                let next = write(format!("{n} {step}"));
                let when = version.map_or(When::Absent, When::Version);
                version = Some(next.version);
                // A fault may make the write fail.
                if !cached.write(&key, next, when).await.is_ok_and(|outcome| outcome.is_written()) {
                    return;
                }
                for _ in 0..20 {
                    let _ = cached.read(&key).await;
                    yield_now().await;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    }
    while let Some(Ok(line)) = tokio::task::block_in_place(|| lines.next()) {
        let keys: Vec<SessionKey> = line.split(' ').map(|key| key.parse().expect("a key")).collect();
        WARM.store(0, Ordering::SeqCst);
        let all = keys.len();
        let mut readers = JoinSet::new();
        for key in keys {
            let cached = cached.clone();
            readers.spawn(async move {
                let (mut seen, mut times) = (0, 0);
                loop {
                    let began = now();
                    match cached.read(&key).await {
                        Ok(Some(_)) => seen = began,
                        Ok(None) => return (key, seen),
                        Err(_) => {}
                    }
                    times += 1;
                    if times == 3 && WARM.fetch_add(1, Ordering::SeqCst) + 1 == all {
                        println!("warm");
                    }
                    yield_now().await;
                }
            });
        }
        let mut gone = String::new();
        while let Some(reader) = readers.join_next().await {
            let (key, seen) = reader.expect("no panic");
            let _ = write!(gone, "{key}={seen} ");
        }
        println!("{}", gone.trim());
    }
}

struct Node {
    process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Node {
    fn start(url: &str, staleness: Duration, keepalive: Duration) -> Self {
        let node = format!("{url} {} {}", staleness.as_millis(), keepalive.as_millis());
        let program = env::current_exe().expect("this program");
        let mut process = Command::new(program)
            .env(NODE, node)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let (input, output) = (process.stdin.take().expect("piped"), process.stdout.take().expect("piped"));
        let mut node = Self { process, input, output: BufReader::new(output).lines() };
        assert_eq!(node.hear(), "connected");
        node
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("it listens");
    }

    fn hear(&mut self) -> String {
        tokio::task::block_in_place(|| self.output.next()).expect("it goes on").expect("a line")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Ends sessions that all nodes are reading. Returns how long after its end each session was still
/// seen, measured to the beginning of the last read that saw it.
async fn log_out(
    store: &impl SessionStore,
    nodes: &mut [Node],
    sessions: usize,
    fault: impl AsyncFnOnce(),
) -> Vec<Duration> {
    let keys: Vec<_> = (0..sessions).map(|_| SessionId::generate().key()).collect();
    for key in &keys {
        let created = store.write(key, write(format!("logged in {key}")), When::Absent).await;
        assert!(created.expect("a write").is_written());
    }
    let line = keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    for node in &mut *nodes {
        node.say(&line);
    }
    for node in &mut *nodes {
        assert_eq!(node.hear(), "warm");
    }
    fault().await;
    let mut ended = Vec::new();
    for key in &keys {
        let _ = store.delete(key, Expected::Any).await.expect("a delete");
        ended.push((key.to_string(), now()));
    }
    let mut lags = Vec::new();
    for node in nodes {
        for seen in node.hear().split(' ') {
            let (key, seen) = seen.split_once('=').expect("a key and a time");
            let seen: u128 = seen.parse().expect("a number");
            let (_, ended) = ended.iter().find(|(ended, _)| ended == key).expect("one of ours");
            let nanos = u64::try_from(seen.saturating_sub(*ended)).expect("not long");
            lags.push(Duration::from_nanos(nanos));
        }
    }
    lags
}

/// Measures how long many logouts took to be seen.
#[allow(clippy::print_stderr, reason = "the distribution is what this is run for")]
async fn many_logouts(others: usize) {
    let server = RedisServer::start().await.expect("a server");
    let staleness = Duration::from_secs(5);
    let store = RedisStore::connect(&server.url()).await.expect("a store");
    let store = store.cached(CacheSettings::default().max_staleness(staleness)).expect("a cache");
    store.wait_until_ready().await;
    let mut nodes: Vec<_> =
        (0..others).map(|_| Node::start(&server.url(), staleness, Duration::from_secs(1))).collect();
    for node in &mut nodes {
        node.say("cache");
        assert_eq!(node.hear(), "whole");
    }
    let rounds = env::var("SESSION_SOAK").map_or(1, |factor| factor.parse().expect("a number"));
    let mut lags = Vec::new();
    for _ in 0..40 * rounds {
        lags.extend(log_out(&store, &mut nodes, 64, async || {}).await);
    }
    lags.sort();
    assert_eq!(lags.len(), others * 64 * 40 * rounds);
    let at = |share: f64| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let rank = (share * (lags.len() - 1) as f64) as usize;
        lags[rank]
    };
    eprintln!(
        "{} logouts on 1 of {} nodes: lag p50 {:?}, p90 {:?}, p99 {:?}, p99.9 {:?}, longest {:?}",
        lags.len(),
        others + 1,
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        at(1.0)
    );
    assert!(at(1.0) < staleness, "the promise is broken");
}

async fn a_logout_on_one_node_is_seen_on_another() {
    many_logouts(1).await;
}

async fn a_logout_on_one_node_is_seen_on_two_others() {
    many_logouts(2).await;
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Freeze,
    Cut,
    Partition,
}

/// Breaks the connection that delivers events, and no other.
async fn through(fault: Fault) {
    let server = RedisServer::start().await.expect("a server");
    let proxy = Proxy::start(server.addr()).await.expect("a proxy");
    let staleness = Duration::from_secs(1);
    // Only the staleness bound detects the frozen connection.
    let keepalive = if fault == Fault::Freeze { Duration::from_hours(1) } else { Duration::from_secs(1) };
    let store = RedisStore::connect(&server.url()).await.expect("a store");
    for _ in 0..3 {
        let mut node = Node::start(&format!("redis://{}", proxy.addr()), staleness, keepalive);
        let before = proxy.connections();
        node.say("cache");
        assert_eq!(node.hear(), "whole");
        let telling: Vec<_> = proxy.connections().into_iter().filter(|id| !before.contains(id)).collect();
        assert_eq!(telling.len(), 1, "the connection that tells");
        let lags = log_out(&store, std::slice::from_mut(&mut node), 64, async || match fault {
            Fault::Freeze => assert!(proxy.freeze_connection(telling[0])),
            Fault::Cut => assert!(proxy.cut(telling[0])),
            Fault::Partition => {
                proxy.refuse_new(true).await.expect("refused");
                assert!(proxy.cut(telling[0]));
            }
        })
        .await;
        let longest = lags.into_iter().max().expect("some");
        // All processes share one clock, and the cache's own clock ticks in microseconds.
        assert!(longest <= staleness + Duration::from_millis(1), "seen for {longest:?} after it was ended");
        if fault == Fault::Freeze {
            assert!(longest > Duration::ZERO, "the fault has done nothing");
        }
        proxy.refuse_new(false).await.expect("open again");
    }
}

async fn nothing_is_seen_for_longer_while_the_connection_that_tells_is_frozen() {
    through(Fault::Freeze).await;
}

async fn nothing_is_seen_for_longer_after_the_connection_that_tells_was_cut() {
    through(Fault::Cut).await;
}

async fn nothing_is_seen_for_longer_while_nobody_can_tell() {
    through(Fault::Partition).await;
}
