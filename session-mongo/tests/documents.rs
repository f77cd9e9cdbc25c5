//! The contents of the collection: expired, damaged and foreign documents, and the indexes.

mod support;

use std::{process::ExitCode, time::Duration};

use futures_util::StreamExt;
use mongodb::bson::{Binary, Bson, DateTime, Document, doc, spec::BinarySubtype};
use session_core::{
    DeleteOutcome, ErrorKind, Event, Expected, Owner, OwnerChange, SessionId, SessionKey, SessionStore, Ttl,
    When, Write, WriteOutcome,
};
use session_mongo::MongoStore;
use session_servers::mongo::{Mongo, MongoReplicaSet, MongoServer};
use support::{
    harness::{self, cases},
    raw::{DATABASE, collection, id},
};
use tokio::time::{sleep, timeout};

async fn open(url: &str) -> MongoStore {
    MongoStore::builder().database(DATABASE).connect(url).await.expect("a store")
}

fn ttl(millis: u64) -> Ttl {
    Ttl::new(Duration::from_millis(millis)).expect("a ttl")
}

/// The server's sweeper never runs in this test.
async fn expired_is_absent_before_the_sweeper_ran() {
    let never = ["--setParameter", "ttlMonitorEnabled=false"];
    let server = Mongo::new().args(never).start().await.expect("a server");
    let (store, raw) = (open(&server.url()).await, collection(&server.url()).await);
    let (key, owner) = (SessionId::generate().key(), Owner::new("alice").expect("an owner"));
    let short = Write::new("short", ttl(100)).owner(OwnerChange::Set(owner.clone()));
    let version = short.version;
    assert!(store.write(&key, short.clone(), When::Absent).await.expect("written").is_written());
    while store.read(&key).await.expect("it is there").is_some() {
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(raw.count_documents(id(&key)).await.expect("counted"), 1, "the document is still there");

    assert!(!store.touch(&key, Ttl::MAX).await.expect("it is there"));
    let next = Write::new("next", Ttl::MAX);
    let outcome = store.write(&key, next.clone(), When::Version(version)).await.expect("it is there");
    assert_eq!(outcome, WriteOutcome::Conflict(None));
    assert_eq!(store.delete(&key, Expected::Any).await.expect("it is there"), DeleteOutcome::Absent);
    assert_eq!(
        store.delete(&key, Expected::Version(version)).await.expect("it is there"),
        DeleteOutcome::Absent
    );
    assert_eq!(store.read_many(&[key, key]).await.into_iter().filter_map(Result::ok).flatten().count(), 0);
    let owners = store.owners().expect("an index");
    assert_eq!(owners.count(&owner).await.expect("it is there"), 0);
    let maintenance = store.maintenance().expect("maintenance");
    assert_eq!(maintenance.count().await.expect("it is there"), 0);
    assert!(maintenance.page(None, 10).await.expect("it is there").records.is_empty());

    // Nothing of the expired record is left in the record that replaces it.
    assert!(store.write(&key, next, When::Absent).await.expect("it is there").is_written());
    assert_eq!(store.read(&key).await.expect("it is there").expect("it is live").owner, None);

    let another = SessionId::generate().key();
    assert!(store.write(&another, short, When::Any).await.expect("written").is_written());
    while store.read(&another).await.expect("it is there").is_some() {
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(maintenance.purge_expired(10).await.expect("purged"), 1);
    assert_eq!(raw.count_documents(doc! {}).await.expect("counted"), 1);
}

/// The sweeper frees expired and deleted records, and reports that to listeners.
async fn the_sweeper_frees_the_space() {
    let often = ["--setParameter", "ttlMonitorSleepSecs=1"];
    let set = MongoReplicaSet::start(1, &often, Duration::from_secs(2)).await.expect("a replica set");
    let (store, raw) = (open(&set.url()).await, collection(&set.url()).await);
    let mut events = store.watch().expect("a watch").subscribe().await.expect("it is there");
    let (kept, deleted, expired) = (key(), key(), key());
    for (key, millis) in [(kept, 1_000_000), (deleted, 1_000_000), (expired, 50)] {
        assert!(
            store
                .write(&key, Write::new("x", ttl(millis)), When::Absent)
                .await
                .expect("written")
                .is_written()
        );
    }
    assert_eq!(store.delete(&deleted, Expected::Any).await.expect("deleted"), DeleteOutcome::Deleted);
    let both = async {
        let (mut deletion, mut expiry) = (false, false);
        while !(deletion && expiry) {
            match events.next().await.expect("an event") {
                Event::Deleted { key } => deletion |= key == deleted,
                Event::Expired { key } => expiry |= key == expired,
                _ => {}
            }
        }
    };
    timeout(Duration::from_secs(20), both).await.expect("both are heard");
    let freed = async {
        while raw.count_documents(doc! {}).await.expect("counted") > 1 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(20), freed).await.expect("it is freed");
    assert!(store.read(&kept).await.expect("it is there").is_some());
}

fn key() -> SessionKey {
    SessionId::generate().key()
}

/// Documents that have the key of a session, but are not records.
fn damaged() -> Vec<(&'static str, Document)> {
    let binary = |bytes: &[u8], subtype| Bson::Binary(Binary { subtype, bytes: bytes.to_vec() });
    let generic = |bytes: &[u8]| binary(bytes, BinarySubtype::Generic);
    let later = DateTime::from_millis(DateTime::now().timestamp_millis() + 1_000_000);
    let whole = doc! { "d": generic(b"data"), "v": generic(&[7; 16]), "e": later };
    let with = |field: &str, value: Bson| {
        let mut document = whole.clone();
        document.insert(field, value);
        document
    };
    let without = |field: &str| {
        let mut document = whole.clone();
        document.remove(field);
        document
    };
    vec![
        ("no data", without("d")),
        ("data of another type", with("d", "text".into())),
        ("data of another subtype", with("d", binary(b"data", BinarySubtype::Function))),
        ("no version", without("v")),
        ("a short version", with("v", generic(&[7; 15]))),
        ("a version of another type", with("v", 7.into())),
        ("no expiry", without("e")),
        ("an expiry of another type", with("e", 1e300.into())),
        (
            "a timestamp as expiry",
            with("e", Bson::Timestamp(mongodb::bson::Timestamp { time: u32::MAX, increment: 1 })),
        ),
        ("an owner of another type", with("o", 7.into())),
        ("an owner that cannot be", with("o", "a\nb".into())),
        ("something else altogether", doc! { "colour": "red" }),
        ("nothing but the key", doc! {}),
    ]
}

async fn damaged_documents_are_corrupt_and_stay() {
    let server = MongoServer::start().await.expect("a server");
    let (store, raw) = (open(&server.url()).await, collection(&server.url()).await);
    let version = session_core::Version::from_bytes([7; 16]);
    for (what, mut document) in damaged() {
        let key = key();
        document.extend(id(&key));
        raw.insert_one(&document).await.expect("planted");
        let corrupt =
            |kind: Option<ErrorKind>, of: &str| assert_eq!(kind, Some(ErrorKind::Corrupt), "{of} of {what}");
        let next = || Write::new("next", Ttl::MAX);
        corrupt(store.read(&key).await.err().map(|error| error.kind()), "read");
        for result in store.read_many(&[key, key]).await {
            corrupt(result.err().map(|error| error.kind()), "read_many");
        }
        if what == "an owner that cannot be" || what == "a short version" || what == "data of another subtype"
        {
            // The server takes these documents for complete records, so it changes their expiry and
            // removes them. The store returns none of their data.
        } else if what != "nothing but the key" {
            corrupt(store.touch(&key, Ttl::MAX).await.err().map(|error| error.kind()), "touch");
        }
        if what != "nothing but the key" {
            corrupt(
                store.write(&key, next(), When::Absent).await.err().map(|error| error.kind()),
                "write if absent",
            );
            let renamed = store.rename(&key, &SessionId::generate().key(), next(), version).await;
            corrupt(renamed.err().map(|error| error.kind()), "rename");
        }
        if !["a short version", "an owner that cannot be", "data of another subtype"].contains(&what) {
            let written = store.write(&key, next(), When::Version(version)).await;
            corrupt(written.err().map(|error| error.kind()), "write");
            let mut left =
                raw.find_one(id(&key)).await.expect("it is there").expect("the document is still there");
            let mut planted = document.clone();
            for field in ["_id", "d", "v", "e", "o", "colour"] {
                assert_eq!(left.remove(field), planted.remove(field), "{what}: {field}");
            }
        }
        // Any of these documents can be deleted.
        let deleted = store.delete(&key, Expected::Any).await.expect("deleted");
        let nothing = what == "nothing but the key";
        assert_eq!(deleted, if nothing { DeleteOutcome::Absent } else { DeleteOutcome::Deleted }, "{what}");
        if !nothing {
            assert_eq!(store.read(&key).await.expect("it is gone"), None, "{what}");
        }
    }
}

/// Documents with other keys are ignored.
async fn documents_of_others_are_passed_over() {
    let server = MongoServer::start().await.expect("a server");
    let (store, raw) = (open(&server.url()).await, collection(&server.url()).await);
    raw.insert_many([doc! { "_id": 1 }, doc! { "_id": "text", "o": "alice" }, doc! { "x": 1 }])
        .await
        .expect("planted");
    let (key, owner) = (key(), Owner::new("alice").expect("an owner"));
    let write = Write::new("x", Ttl::MAX).owner(OwnerChange::Set(owner.clone()));
    assert!(store.write(&key, write, When::Absent).await.expect("written").is_written());
    let maintenance = store.maintenance().expect("maintenance");
    let (mut met, mut cursor) = (Vec::new(), None);
    loop {
        let page = maintenance.page(cursor, 1).await.expect("a page");
        met.extend(page.records.into_iter().map(|(key, _)| key));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(met, [key]);
    assert_eq!(maintenance.count().await.expect("counted"), 1);
    let owners = store.owners().expect("an index");
    assert_eq!(owners.list(&owner).await.expect("listed"), [key]);
    assert_eq!(owners.delete_all(&owner, None).await.expect("deleted"), [key]);
    assert_eq!(raw.count_documents(doc! { "_id": { "$in": [1, "text"] } }).await.expect("counted"), 2);
}

async fn indexes_are_created_or_missed() {
    let server = MongoServer::start().await.expect("a server");
    let raw = collection(&server.url()).await;
    let builder = || MongoStore::builder().database(DATABASE);
    let says = |error: session_core::Error, words: &[&str]| {
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        for word in words {
            assert!(error.to_string().contains(word), "{word:?} is not in: {error}");
        }
    };
    let error = builder().create_indexes(false).connect(&server.url()).await.expect_err("none is there");
    says(error, &["createIndex({e: 1}, {expireAfterSeconds: 0})"]);
    open(&server.url()).await;
    builder().create_indexes(false).connect(&server.url()).await.expect("both are there");
    raw.drop_index("o_1").await.expect("dropped");
    let error = builder().create_indexes(false).connect(&server.url()).await.expect_err("one is missing");
    says(error, &["createIndex({o: 1}"]);
    open(&server.url()).await;

    raw.drop_index("e_1").await.expect("dropped");
    let late = mongodb::options::IndexOptions::builder().expire_after(Duration::from_mins(1)).build();
    let late = mongodb::IndexModel::builder().keys(doc! { "e": 1 }).options(late).build();
    raw.create_index(late).await.expect("created");
    let error = builder().connect(&server.url()).await.expect_err("another index");
    says(error, &["other options", "createIndex({e: 1}, {expireAfterSeconds: 0})"]);
}

fn main() -> ExitCode {
    harness::main(cases![
        expired_is_absent_before_the_sweeper_ran,
        the_sweeper_frees_the_space,
        damaged_documents_are_corrupt_and_stay,
        documents_of_others_are_passed_over,
        indexes_are_created_or_missed,
    ])
}
