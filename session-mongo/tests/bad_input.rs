//! What can be wrong with a URL, a setting or a server is said at once, in words that help, and no secret is repeated.

mod support;

use std::{
    error::Error as _,
    ffi::OsString,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
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
use session_mongo::{MongoStore, MongoStoreBuilder};
use session_servers::{
    Engine, Program, Server,
    mongo::{Mongo, MongoReplicaSet, MongoServer, command},
};
use support::harness::{self, cases};

const SECRET: &str = "geheim-4711";

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
    let roots = Some(PathBuf::from("/nonexistent/roots.pem"));
    says(&refused_by(builder().tls(roots, None), url).await, ErrorKind::Config, &["settings cannot be used"]);
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

    // One member cannot have what three must have: the change is there, and must not be called done.
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

/// `mongod` that asks for a password once it is told to. Who it is, it then says in a file alone.
#[derive(Debug, Default)]
struct Guarded {
    on: AtomicBool,
    data: Mutex<PathBuf>,
}

impl Engine for Guarded {
    fn program(&self) -> Program {
        Mongo::new().program()
    }

    fn command_line(&self, data: &Path, addr: SocketAddr) -> Vec<OsString> {
        data.clone_into(&mut self.data.lock().expect("no panic"));
        let mut args = MongoReplicaSet::member().command_line(data, addr);
        args.extend(["--pidfilepath".into(), data.join("pid").into()]);
        if self.on.load(Ordering::Relaxed) {
            let key = data.join("key");
            std::fs::write(&key, "c2Vzc2lvbg==").expect("a writable directory");
            let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&key, private).expect("our own file");
            args.extend(["--auth".into(), "--keyFile".into(), key.into()]);
        }
        args
    }

    fn url(&self, addr: SocketAddr) -> String {
        format!("mongodb://{addr}/?replicaSet=session")
    }

    async fn ping(&self, addr: SocketAddr) -> io::Result<()> {
        Mongo::new().ping(addr).await
    }

    async fn serving_pid(&self, addr: SocketAddr) -> io::Result<u32> {
        let hello = command(addr, &doc! { "hello": 1 }).await?;
        if self.on.load(Ordering::Relaxed) && !hello.get_bool("isWritablePrimary").unwrap_or_default() {
            return Err(io::Error::other("it is not the primary yet"));
        }
        let file = self.data.lock().expect("no panic").join("pid");
        let pid = std::fs::read_to_string(file)?;
        pid.trim().parse().map_err(io::Error::other)
    }
}

/// A replica set of one member that asks for a password, with a user who may use the database `tests` alone.
async fn guarded() -> Server<Guarded> {
    let server = Server::launch(Guarded::default()).await.expect("a server");
    let config = doc! { "_id": "session", "members": [{ "_id": 0, "host": server.addr().to_string() }] };
    command(server.addr(), &doc! { "replSetInitiate": config }).await.expect("initiated");
    let client = Client::with_uri_str(server.url()).await.expect("a client");
    let role = doc! { "role": "readWrite", "db": "tests" };
    let user = doc! { "createUser": "web", "pwd": SECRET, "roles": [role] };
    client.database("admin").run_command(user).await.expect("created");
    client.shutdown().immediate(true).await;
    server.engine().on.store(true, Ordering::Relaxed);
    server.restart().await.expect("restarted");
    server
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

    // With the right ones, the role suffices for everything.
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

/// A client that is there already: nothing of it is changed, and it is not closed.
async fn a_client_of_others() {
    let set = MongoReplicaSet::start(1, &[], Duration::from_secs(2)).await.expect("a replica set");
    let client = Client::with_uri_str(set.url()).await.expect("a client");
    let error =
        MongoStore::builder().pool(3).with_client(client.clone()).await.expect_err("too late for that");
    says(&error, ErrorKind::Config, &["`pool`"]);
    let store = MongoStore::with_client(client.clone(), "tests").await.expect("a store");
    let others = client.database("tests").collection("others");
    // The client numbers its own commands in sessions of its own, before, between and after those of the store.
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
        nobody_there,
        a_frozen_server,
        plain_text_and_tls,
        another_replica_set,
        a_write_concern_that_nobody_can_keep,
        credentials_and_permissions,
        a_client_of_others,
    ])
}
