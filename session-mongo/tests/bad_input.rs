//! An invalid URL, setting or server is reported at once, with a helpful message that repeats no
//! secret.

mod support;

use std::{
    error::Error as _,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use mongodb::{
    Client,
    bson::doc,
    options::{Acknowledgment, WriteConcern},
};
use session_core::{
    Error, ErrorKind, Expected, Owner, OwnerChange, SessionId, SessionStore, Ttl, When, Write,
};
use session_mongo::{Credentials, MongoStore, MongoStoreBuilder, Pem};
use session_servers::mongo::{MongoReplicaSet, MongoServer};
use support::{
    guarded::{SECRET, guarded},
    harness::{self, cases},
    log::logged,
};

const DEADLINE: Duration = Duration::from_secs(3);

async fn refused_by(builder: MongoStoreBuilder, url: &str) -> Error {
    let begun = Instant::now();
    let error = builder.deadline(DEADLINE).connect(url).await.expect_err(url);
    assert!(begun.elapsed() < DEADLINE + Duration::from_millis(500), "{url}: after {:?}", begun.elapsed());
    error
}

async fn refused(url: &str) -> Error {
    refused_by(MongoStore::builder(), url).await
}

fn says(error: &Error, kind: ErrorKind, words: &[&str]) {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&error.to_string());
        source = error.source();
    }
    assert_eq!(error.kind(), kind, "{text}");
    for word in words {
        assert!(error.to_string().contains(word), "{word:?} is not in: {error}");
    }
    assert!(!text.contains(SECRET), "the password is repeated: {text}");
}

const UNAVAILABLE: ErrorKind = ErrorKind::Unavailable { may_have_applied: false };

async fn urls_and_settings_that_make_no_sense() {
    for url in [
        "",
        "localhost:27017",
        "http://localhost",
        "mongodb://",
        "mongodb://u:geheim-4711@",
        "mongodb://u:geheim-4711@localhost:99999",
        "mongodb://u:geheim-4711/%zz@localhost",
        "mongodb://localhost/?maxPoolSize=many",
        "mongodb://localhost/?w=majority&w=1&directConnection=perhaps",
    ] {
        says(&refused(url).await, ErrorKind::Config, &["URL"]);
    }
    let url = "mongodb://127.0.0.1:1";
    let builder = MongoStore::builder;
    says(&refused_by(builder().database("a.b"), url).await, ErrorKind::Config, &["database", "'.'"]);
    says(&refused_by(builder().database(""), url).await, ErrorKind::Config, &["database", "0 bytes"]);
    says(&refused_by(builder().collection("a$b"), url).await, ErrorKind::Config, &["collection", "'$'"]);
    says(&refused_by(builder().collection("system.x"), url).await, ErrorKind::Config, &["system."]);
    let roots = Pem::File(PathBuf::from("/nonexistent/roots.pem"));
    says(
        &refused_by(builder().tls_roots(roots), url).await,
        ErrorKind::Config,
        &["tls_roots", "cannot be read"],
    );
}

/// Any part of the URL may belong to a password.
async fn no_part_of_a_url_is_repeated() {
    for url in [
        "mongodb://:aB3/geheim-4711@h:6379",
        "mongodb://default:p?geheim-4711@h",
        "mongodb://default:p?appName=geheim-4711@h",
        "mongodb://u:p#geheim-4711@h",
        "mongodb://u:geheim-4711%zz@h",
        "mongodb://u:geheim-4711",
        "mongodb://u:pw@h:geheim-4711",
        "mongodb://u:pw@h/geheim-4711$",
        "mongodb://u:pw@[geheim-4711/",
        "mongodb+srv://u:pw@geheim-4711:27017",
        "mongodb+srv://u:geheim-4711@a,b",
        "mongodb://h/?readPreference=geheim-4711",
        "mongodb://h/?authMechanism=geheim-4711&w=1",
        "mongodb://h/?authMechanismProperties=geheim-4711",
        "mongodb://h/?serverMonitoringMode=geheim-4711",
        "mongodb://h/?maxStalenessSeconds=geheim-4711&readPreference=nearest",
        "mongodb://h/?readPreferenceTags=geheim-4711&readPreference=nearest",
        "mongodb://h/?heartbeatFrequencyMS=geheim-4711",
        "mongodb://h/?retryWrites=geheim-4711",
        "mongodb://h/?tls=geheim-4711",
        "mongodb://h/?tlsCAFile=geheim-4711",
        "mongodb://h/?tlsCertificateKeyFile=/dev/null/geheim-4711",
        "mongodb://h/?tlsCertificateKeyFilePassword=geheim-4711",
        "mongodb://h/?w=1&appName=geheim-4711&directConnection=true&loadBalanced=true",
        "mongodb://h,i/?appName=geheim-4711&directConnection=true",
    ] {
        says(&refused(url).await, ErrorKind::Config, &[]);
    }
    // The `Debug` output of a builder does not show the password either.
    let builder = MongoStore::builder().credentials("u", SECRET);
    let provided = MongoStore::builder().credentials_provider(|| async { Ok(Credentials::new("u", SECRET)) });
    assert!(!format!("{builder:?} {provided:?}").contains(SECRET));
}

async fn an_option_that_is_wrong_is_named() {
    for (option, name) in [
        ("readPreference=any", "readpreference"),
        ("authMechanism=NONE&w=1", "authmechanism"),
        ("maxPoolSize=many", "maxPoolSize"),
        ("retryWrites=perhaps", "retryWrites"),
        ("noSuchOption=1", "noSuchOption"),
        ("tlsCRLFile=/x", "tlsCRLFile"),
        ("w=1&W=2", "W"),
        ("tls=prefer", "prefer"),
        ("tls=verify-ca", "verify-ca"),
        ("tlsAllowInvalidHostnames=true", "tlsAllowInvalidHostnames"),
        ("tls_cert=/x", "tls_key"),
    ] {
        says(&refused(&format!("mongodb://127.0.0.1:1/?{option}")).await, ErrorKind::Config, &[name]);
    }
}

/// URLs as in the documentation of cloud providers and other drivers.
async fn options_of_other_clients_are_accepted() {
    let server = MongoServer::start().await.expect("a server");
    let url = format!(
        "mongodb://{}/shop?retryWrites=true&w=majority&appName=Cluster0&authSource=admin&readPreference=primary\
         &socketTimeoutMS=1000&waitQueueTimeoutMS=1000&timeoutMS=1000&compressors=zlib&zlibCompressionLevel=6\
         &uuidRepresentation=standard&useNewUrlParser=true&useUnifiedTopology=true&maxIdleTimeMS=120000&ssl=false\
         &wtimeout=2500&j=true&maxPoolSize=off&maxConnecting=0&minPoolSize=0&heartbeatFrequencyMS=off\
         &connectTimeoutMS=0&serverSelectionTimeoutMS=off&localThresholdMS=0&tlsDisableOCSPEndpointCheck=true",
        server.addr()
    );
    let (outcome, log) = logged(async move { MongoStore::connect(&url).await?.close().await }).await;
    outcome.expect("it connects");
    let ignored =
        ["socketTimeoutMS", "waitQueueTimeoutMS", "timeoutMS", "compressors", "zlibCompressionLevel"];
    for name in ignored.into_iter().chain(["uuidRepresentation", "useNewUrlParser", "useUnifiedTopology"]) {
        assert!(log.contains(&format!("\"{name}\"")), "{name} is not in: {log}");
    }
    assert_eq!(log.matches("has no meaning").count(), 9, "{log}");
}

/// Zero and `off` turn settings off, and the store still works.
async fn zero_turns_bounds_off() {
    let server = MongoServer::start().await.expect("a server");
    let settings = MongoStore::builder().pool(0).connect_timeout(Duration::ZERO).heartbeat(Duration::ZERO);
    let store = settings.max_retries(0).max_data_len(0).connect(&server.url()).await.expect("it connects");
    let key = SessionId::generate().key();
    let large = Write::new(vec![b'x'; 2 << 20], Ttl::MAX);
    assert!(store.write(&key, large, When::Absent).await.expect("written").is_written());
    assert_eq!(store.read(&key).await.expect("a read").expect("it is live").data.len(), 2 << 20);
}

async fn plain_text_that_leaves_this_machine_is_warned_of() {
    // Addresses reserved for documentation, which do not answer.
    for (url, warnings) in [
        ("mongodb://192.0.2.1", 1),
        ("mongodb://192.0.2.1/?tls=disable", 1),
        ("mongodb://127.0.0.1:1,192.0.2.1", 1),
        ("mongodb://192.0.2.1/?tls=require", 1),
        ("mongodb://192.0.2.1/?tls=true", 0),
        ("mongodb://127.0.0.1:1", 0),
        ("mongodb://127.0.0.1:1/?tls=require", 0),
    ] {
        let connect = MongoStore::builder().deadline(Duration::from_millis(300)).connect(url);
        let (outcome, log) = logged(connect).await;
        outcome.expect_err(url);
        assert_eq!(log.matches("WARN").count(), warnings, "{url}: {log}");
    }
}

async fn nobody_there() {
    says(&refused("mongodb://127.0.0.1:1").await, UNAVAILABLE, &["127.0.0.1:1"]);
    says(&refused(&format!("mongodb://u:{SECRET}@127.0.0.1:1")).await, UNAVAILABLE, &["127.0.0.1:1"]);
}

async fn a_frozen_server() {
    let server = MongoServer::start().await.expect("a server");
    server.freeze().await.expect("frozen");
    says(&refused(&server.url()).await, UNAVAILABLE, &[]);
}

async fn plain_text_and_tls() {
    let server = MongoServer::start().await.expect("a server");
    says(
        &refused(&format!("mongodb://{}/?tls=true", server.addr())).await,
        UNAVAILABLE,
        &["no server can be used"],
    );
}

async fn another_replica_set() {
    let set = MongoReplicaSet::start(1, &[], Duration::from_secs(2)).await.expect("a replica set");
    let other = set.url().replace("replicaSet=session", "replicaSet=other");
    says(&refused(&other).await, ErrorKind::Config, &["\"session\"", "\"other\""]);
    let server = MongoServer::start().await.expect("a server");
    let other = format!("mongodb://{}/?replicaSet=other", server.addr());
    says(&refused(&other).await, ErrorKind::Config, &["no replica set", "\"other\""]);
}

async fn a_write_concern_that_nobody_can_keep() {
    let server = MongoServer::start().await.expect("a server");
    let concern = |nodes| {
        let mut concern = WriteConcern::default();
        concern.w = Some(nodes);
        MongoStore::builder().write_concern(concern)
    };
    let nobody = refused_by(concern(Acknowledgment::Nodes(0)), &server.url()).await;
    says(&nobody, ErrorKind::Config, &["w: 0"]);

    // One member cannot satisfy a write concern of three. The change exists, but must not be
    // reported as done.
    let set = MongoReplicaSet::start(1, &[], Duration::from_secs(2)).await.expect("a replica set");
    let builder = concern(Acknowledgment::Nodes(3)).deadline(DEADLINE);
    let store = builder.connect(&set.url()).await.expect("it connects");
    let key = SessionId::generate().key();
    let error =
        store.write(&key, Write::new("x", Ttl::MAX), When::Any).await.expect_err("it is not replicated");
    assert!(error.may_have_applied(), "{error:?}");
    let error = store.delete(&key, Expected::Any).await.expect_err("it is not replicated");
    assert!(error.may_have_applied(), "{error:?}");
}

async fn credentials_and_permissions() {
    let server = guarded().await;
    let url = format!("mongodb://{}/?replicaSet=session&authSource=admin", server.addr());
    let builder = MongoStore::builder;
    for (user, password) in [("web", "wrong"), ("nobody", SECRET)] {
        let error = refused_by(builder().database("tests").credentials(user, password), &url).await;
        says(&error, ErrorKind::Config, &["password"]);
    }
    let elsewhere = url.replace("authSource=admin", "authSource=tests");
    let error = refused_by(builder().database("tests").credentials("web", SECRET), &elsewhere).await;
    says(&error, ErrorKind::Config, &["authSource"]);
    says(&refused_by(builder().database("tests"), &url).await, ErrorKind::Config, &["readWrite"]);
    let error = refused_by(builder().database("other").credentials("web", SECRET), &url).await;
    says(&error, ErrorKind::Config, &["readWrite"]);

    // With the right credentials, the role suffices for everything.
    let store = builder()
        .database("tests")
        .credentials("web", SECRET)
        .connect(&url)
        .await
        .expect("the right password");
    assert!(!format!("{store:?}").contains(SECRET));
    let mut events = store.watch().expect("a watch").subscribe().await.expect("it is permitted");
    let (id, owner) = (SessionId::generate(), Owner::new("alice").expect("an owner"));
    let write = Write::new("x", Ttl::MAX).owner(OwnerChange::Set(owner.clone()));
    let version = write.version;
    assert!(store.write(&id.key(), write, When::Absent).await.expect("permitted").is_written());
    assert!(events.next().await.is_some());
    assert!(store.touch(&id.key(), Ttl::MAX).await.expect("permitted"));
    let new = id.rotate().key();
    let _ = store.rename(&id.key(), &new, Write::new("y", Ttl::MAX), version).await.expect("permitted");
    let maintenance = store.maintenance().expect("it has one");
    assert_eq!(maintenance.count().await.expect("permitted"), 1);
    maintenance.purge_expired(10).await.expect("permitted");
    assert_eq!(store.owners().expect("an index").delete_all(&owner, None).await.expect("permitted"), [new]);
}

/// An existing client is left unchanged, and is not closed.
async fn a_client_of_others() {
    let set = MongoReplicaSet::start(1, &[], Duration::from_secs(2)).await.expect("a replica set");
    let client = Client::with_uri_str(set.url()).await.expect("a client");
    let error =
        MongoStore::builder().pool(3).with_client(client.clone()).await.expect_err("too late for that");
    says(&error, ErrorKind::Config, &["`pool`"]);
    let store = MongoStore::with_client(client.clone(), "tests").await.expect("a store");
    let others = client.database("tests").collection("others");
    // The client numbers its own commands in its own sessions, before, between and after those of
    // the store.
    for n in 0..50 {
        others.insert_one(doc! { "_id": n }).await.expect("inserted");
        let key = SessionId::generate().key();
        assert!(
            store.write(&key, Write::new("x", Ttl::MAX), When::Absent).await.expect("written").is_written()
        );
        assert_eq!(store.read(&key).await.expect("it is there").expect("it is live").data, "x");
    }
    store.close().await.expect("closed");
    let closed = store.read(&SessionId::generate().key()).await.expect_err("it is closed");
    assert_eq!(closed.kind(), ErrorKind::Closed);
    assert_eq!(others.count_documents(doc! {}).await.expect("the client is not"), 50);
}

fn main() -> ExitCode {
    harness::main(cases![
        urls_and_settings_that_make_no_sense,
        no_part_of_a_url_is_repeated,
        an_option_that_is_wrong_is_named,
        options_of_other_clients_are_accepted,
        zero_turns_bounds_off,
        plain_text_that_leaves_this_machine_is_warned_of,
        nobody_there,
        a_frozen_server,
        plain_text_and_tls,
        another_replica_set,
        a_write_concern_that_nobody_can_keep,
        credentials_and_permissions,
        a_client_of_others,
    ])
}
