//! Events beyond those of the suite: flushed databases, late expiries, and gaps that only the
//! watch has.

mod support;

use std::{process::ExitCode, time::Duration};

use futures_util::StreamExt as _;
use session_core::{Event, EventStream, SessionId, SessionKey, SessionStore, Ttl, When, Write};
use session_redis::RedisStore;
use session_servers::{Proxy, redis::RedisServer};
use support::{
    command,
    harness::{self, cases},
};
use tokio::time::timeout;

/// Longer than anything in these tests takes.
const PATIENCE: Duration = Duration::from_secs(20);

async fn next(events: &mut EventStream) -> Event {
    timeout(PATIENCE, events.next()).await.expect("something is heard").expect("the stream goes on")
}

/// All events up to the wanted one.
async fn up_to(events: &mut EventStream, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
    let mut heard = Vec::new();
    loop {
        let event = next(events).await;
        let done = wanted(&event);
        heard.push(event);
        if done {
            return heard;
        }
    }
}

fn is_of(key: SessionKey) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::Changed { key: changed, .. } if *changed == key)
}

async fn put(store: &RedisStore, ttl: Ttl) -> SessionKey {
    let key = SessionId::generate().key();
    assert!(store.write(&key, Write::new("x", ttl), When::Absent).await.expect("a write").is_written());
    key
}

async fn subscribe(store: &RedisStore) -> EventStream {
    store.watch().expect("it has one").subscribe().await.expect("a stream")
}

async fn a_flushed_database_means_that_anything_may_be_missed() {
    let server = RedisServer::start().await.expect("a server");
    let store = RedisStore::connect(&server.url()).await.expect("a store");
    put(&store, Ttl::MAX).await;
    let mut events = subscribe(&store).await;
    for words in [&["FLUSHDB"][..], &["FLUSHALL", "ASYNC"]] {
        let key = put(&store, Ttl::MAX).await;
        up_to(&mut events, is_of(key)).await;
        command::run(&mut command::connect(&server.url()).await, words).await;
        assert_eq!(next(&mut events).await, Event::Missed, "{words:?}");
    }
}

/// Without any access to the session, the server frees it by itself.
async fn an_expiry_is_heard_without_anybody_asking() {
    let server = RedisServer::start().await.expect("a server");
    let store = RedisStore::connect(&server.url()).await.expect("a store");
    let mut events = subscribe(&store).await;
    let key = put(&store, Ttl::new(Duration::from_millis(50)).expect("a ttl")).await;
    assert!(is_of(key)(&next(&mut events).await), "it is written");
    assert!(is_of(key)(&next(&mut events).await), "it is freed");
    assert_eq!(store.read(&key).await.expect("a read"), None);
}

/// Events of this store's own writes carry the version. Events of touches and of other stores'
/// changes do not.
async fn own_writes_are_told_from_changes_by_others() {
    let server = RedisServer::start().await.expect("a server");
    let proxy = Proxy::start(server.addr()).await.expect("a proxy");
    let other = RedisStore::connect(&server.url()).await.expect("a store");
    let store = RedisStore::connect(&format!("redis://{}", proxy.addr())).await.expect("a store");
    put(&store, Ttl::MAX).await;
    let before = proxy.connections();
    let mut events = subscribe(&store).await;
    let telling: Vec<_> = proxy.connections().into_iter().filter(|id| !before.contains(id)).collect();
    assert_eq!(telling.len(), 1, "the connection that tells");

    let key = SessionId::generate().key();
    let write = Write::new("ours", Ttl::MAX);
    let version = write.version;
    assert!(store.write(&key, write, When::Absent).await.expect("a write").is_written());
    assert_eq!(next(&mut events).await, Event::Changed { key, version: Some(version) });

    assert!(store.touch(&key, Ttl::MAX).await.expect("a touch"));
    assert_eq!(next(&mut events).await, Event::Changed { key, version: None });

    let theirs = Write::new("theirs", Ttl::MAX);
    let seen = theirs.version;
    assert!(other.write(&key, theirs, When::Version(version)).await.expect("a write").is_written());
    assert_eq!(next(&mut events).await, Event::Changed { key, version: None });

    // Another store touches a session of this store before its event arrives.
    assert!(proxy.freeze_connection(telling[0]));
    let write = Write::new("ours again", Ttl::MAX);
    assert!(store.write(&key, write, When::Version(seen)).await.expect("a write").is_written());
    assert!(other.touch(&key, Ttl::new(Duration::from_mins(1)).expect("a ttl")).await.expect("a touch"));
    assert!(proxy.thaw_connection(telling[0]));
    for _ in 0..2 {
        assert_eq!(next(&mut events).await, Event::Changed { key, version: None });
    }
}

async fn sessions_of_others_are_not_heard() {
    let server = RedisServer::start().await.expect("a server");
    let open = async |name: &str| {
        RedisStore::builder().namespace(name).connect(&server.url()).await.expect("a store")
    };
    let (store, other) = (open("web").await, open("web2").await);
    let mut events = subscribe(&store).await;
    put(&other, Ttl::MAX).await;
    let key = put(&store, Ttl::MAX).await;
    assert!(is_of(key)(&next(&mut events).await), "the other one has another namespace");
}

/// The server forgets the tracking of a lost connection, and the driver may reconnect silently.
async fn each_lost_connection_is_a_gap() {
    let server = RedisServer::start().await.expect("a server");
    let store = RedisStore::connect(&server.url()).await.expect("a store");
    let mut events = subscribe(&store).await;
    let mut connection = command::connect(&server.url()).await;
    for _ in 0..5 {
        command::run(&mut connection, &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
        assert_eq!(next(&mut events).await, Event::Interrupted);
        assert_eq!(up_to(&mut events, |event| *event == Event::Missed).await.len(), 1);
        let key = put(&store, Ttl::MAX).await;
        up_to(&mut events, is_of(key)).await;
    }
}

/// Only the connection of the watch is in a black hole. Nothing is closed; reads and writes go on.
async fn a_black_hole_is_a_gap() {
    let server = RedisServer::start().await.expect("a server");
    let proxy = Proxy::start(server.addr()).await.expect("a proxy");
    let keepalive = Duration::from_millis(200);
    let builder = RedisStore::builder().keepalive(keepalive);
    let store = builder.connect(&format!("redis://{}", proxy.addr())).await.expect("a store");
    put(&store, Ttl::MAX).await;
    let before = proxy.connections();
    let mut events = subscribe(&store).await;
    let listening: Vec<_> = proxy.connections().into_iter().filter(|id| !before.contains(id)).collect();
    assert_eq!(listening.len(), 1, "the listener has a connection of its own");
    let key = put(&store, Ttl::MAX).await;
    up_to(&mut events, is_of(key)).await;
    assert!(proxy.freeze_connection(listening[0]));
    let begun = std::time::Instant::now();
    let unheard = put(&store, Ttl::MAX).await;
    assert_eq!(next(&mut events).await, Event::Interrupted);
    assert!(begun.elapsed() < 2 * keepalive + Duration::from_secs(1), "after {:?}", begun.elapsed());
    let heard = up_to(&mut events, |event| *event == Event::Missed).await;
    assert!(!heard.iter().any(is_of(unheard)), "its news are in the hole");
    let key = put(&store, Ttl::MAX).await;
    up_to(&mut events, is_of(key)).await;
}

fn main() -> ExitCode {
    harness::main(cases![
        a_flushed_database_means_that_anything_may_be_missed,
        an_expiry_is_heard_without_anybody_asking,
        own_writes_are_told_from_changes_by_others,
        sessions_of_others_are_not_heard,
        each_lost_connection_is_a_gap,
        a_black_hole_is_a_gap,
    ])
}
