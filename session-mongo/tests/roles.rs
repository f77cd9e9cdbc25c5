//! Servers that cannot serve now: the store does not read from them as from a primary, and their
//! errors are not permanent.

mod support;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use mongodb::{
    bson::{Document, doc},
    options::ReadPreference,
};
use session_core::{ErrorKind, Event, Expected, SessionId, SessionStore, Ttl, When, Write};
use session_mongo::{BatchSettings, MongoStore, MongoStoreBuilder};
use session_servers::mongo::{Mongo, MongoReplicaSet, MongoServer, command};
use support::harness::{self, cases};

const ELECTION: Duration = Duration::from_secs(1);

const TESTABLE: [&str; 2] = ["--setParameter", "enableTestCommands=1"];

fn settings() -> MongoStoreBuilder {
    MongoStore::builder().database("tests").deadline(Duration::from_secs(2))
}

async fn fail_point(server: &MongoServer, name: &str, mode: &str, data: Document) {
    let set = doc! { "configureFailPoint": name, "mode": mode, "data": data };
    command(server.addr(), &set).await.expect("test commands are on");
}

/// A store with a direct connection does not read from its server as from the primary when it is no
/// longer the primary.
async fn a_direct_connection_to_what_was_the_primary() {
    let set = MongoReplicaSet::start(3, &TESTABLE, ELECTION).await.expect("a replica set");
    let everywhere = settings().connect(&set.url()).await.expect("a store");
    let primary = set.primary().await.expect("a primary");
    let direct = settings().connect(&primary.url()).await.expect("the primary");
    let key = SessionId::generate().key();
    assert!(direct.write(&key, Write::new("x", Ttl::MAX), When::Absent).await.expect("written").is_written());
    assert!(direct.read(&key).await.expect("it is the primary").is_some());
    assert_eq!(direct.maintenance().expect("it has one").count().await.expect("it is the primary"), 1);
    let mut events = direct.watch().expect("a watch").subscribe().await.expect("it is the primary");

    // From here on, no changes reach it.
    fail_point(primary, "stopReplProducer", "alwaysOn", doc! {}).await;
    let old = set.step_down().await.expect("it steps down");
    let begun = Instant::now();
    while everywhere.delete(&key, Expected::Any).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "there is no new primary");
    }
    assert!(everywhere.read(&key).await.expect("a new primary").is_none());

    let error = direct.read(&key).await.expect_err("it is not the primary");
    assert!(matches!(error.kind(), ErrorKind::Unavailable { .. }), "{error:?}");
    let several = [key, SessionId::generate().key()];
    for outcome in direct.read_many(&several).await {
        assert!(outcome.expect_err("it is not the primary").is_transient());
    }
    assert!(direct.maintenance().expect("it has one").count().await.expect_err("nor here").is_transient());
    assert!(direct.ping().await.expect_err("nor here").is_transient());
    // From here on, a cache bypasses.
    let interrupted = async { while events.next().await != Some(Event::Interrupted) {} };
    tokio::time::timeout(Duration::from_secs(20), interrupted).await.expect("it is noticed");
    let watched = direct.watch().expect("a watch").subscribe().await;
    assert!(watched.err().expect("a secondary tells late").is_transient());
    let opened = settings().connect(&old.url()).await.expect_err("it is not the primary");
    assert!(matches!(opened.kind(), ErrorKind::Unavailable { .. }), "{opened:?}");
    assert!(opened.to_string().contains("directConnection"), "{opened}");

    // A read that may go to a secondary is served.
    let secondary = settings().read_preference(ReadPreference::Secondary { options: None });
    let secondary = secondary.connect(&old.url()).await.expect("it may be a secondary");
    assert!(secondary.read(&key).await.expect("it answers").is_some(), "it is behind");
    fail_point(old, "stopReplProducer", "off", doc! {}).await;
}

/// All error codes that mean "not this server" or "not now". See
/// `src/mongo/base/error_codes.yml` of the server.
const NOT_NOW: &[i32] = &[
    // The role: ShutdownInProgress, PrimarySteppedDown, NotWritablePrimary, InterruptedAtShutdown,
    // InterruptedDueToReplStateChange, NotPrimaryNoSecondaryOk, NotPrimaryOrSecondary,
    // ExceededTimeLimit.
    91, 189, 10_107, 11_600, 11_602, 13_435, 13_436, 262, //
    // The state of a member.
    94, 109, 117, 133, 134, 149, 187, 203, 211, 216, 303, 355, 371, //
    // The network behind it, locks, plans, timeouts.
    6, 7, 24, 43, 46, 50, 64, 89, 107, 112, 175, 202, 237, 290, 9_001, 11_601, //
    // A sharded cluster in motion. StaleEpoch, StaleConfig and the like need an extra in the reply.
    70, 215, 239, 246, 250, 272, 319, 342, 363, //
    // Overload.
    264, 365, 402, 433, 449, 462, //
    // Connections.
    145, 279, 314, 407,
];

async fn what_a_server_says_that_cannot_serve_now_is_no_failure_for_good() {
    let server = Mongo::new().args(TESTABLE).start().await.expect("a server");
    let settings = settings().deadline(Duration::from_millis(250)).batching(BatchSettings::disabled());
    let store = settings.connect(&server.url()).await.expect("a store");
    let mut wrong = Vec::new();
    for &code in NOT_NOW {
        let key = SessionId::generate().key();
        let created = Write::new("x", Ttl::MAX);
        let version = created.version;
        let begun = Instant::now();
        while store.write(&key, created.clone(), When::Any).await.is_err() {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "it does not recover from what came before {code}"
            );
        }
        let data = doc! { "errorCode": code, "failCommands": ["find", "update"] };
        fail_point(&server, "failCommand", "alwaysOn", data).await;
        let write = Write::new("y", Ttl::MAX);
        let outcomes = [
            store.read(&key).await.map(drop),
            store.write(&key, write, When::Version(version)).await.map(drop),
        ];
        fail_point(&server, "failCommand", "off", doc! {}).await;
        for outcome in outcomes {
            match outcome.map_err(|error| error.kind()) {
                Err(ErrorKind::Unavailable { .. }) => {}
                other => wrong.push((code, other)),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

fn main() -> ExitCode {
    harness::main(cases![
        a_direct_connection_to_what_was_the_primary,
        what_a_server_says_that_cannot_serve_now_is_no_failure_for_good,
    ])
}
