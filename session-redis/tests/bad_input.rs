//! An invalid URL, setting or server is reported at once, with a helpful message that repeats no
//! secret.

mod support;

use std::{error::Error as _, process::ExitCode, time::Duration};

use futures_util::StreamExt;
use session_core::{
    DeleteOutcome, Error, ErrorKind, Expected, Owner, OwnerChange, RenameOutcome, SessionId, SessionStore,
    Ttl, When, Write,
};
use session_redis::RedisStore;
use session_servers::{
    Server,
    redis::{Redis, RedisCluster, RedisServer},
};
use support::{
    command,
    harness::{self, cases},
    log, tls,
};

const SECRET: &str = "geheim-4711";

async fn refused(url: &str) -> Error {
    RedisStore::builder().deadline(Duration::from_secs(3)).connect(url).await.expect_err(url)
}

fn says(error: &Error, kind: ErrorKind, words: &[&str]) {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(error) = source {
        text.push(' ');
        text.push_str(&error.to_string());
        source = error.source();
    }
    assert_eq!(error.kind(), kind, "{text}");
    for word in words {
        assert!(error.to_string().contains(word), "{word:?} is not in: {error}");
    }
    assert!(!text.contains(SECRET), "the password is repeated: {text}");
}

async fn urls_that_make_no_sense() {
    for (url, words) in [
        ("", "not a URL"),
        ("localhost:6379", "not a URL"),
        ("http://localhost", "\"http\" is not known"),
        ("redis://:aB3/xyzgeheim-4711@h:6379", "%XX"),
        ("redis://default:p?geheim-4711@h", "%XX"),
        ("redis://default:geheim-4711", "%XX"),
        ("rediss://u:p#geheim-4711@h", "%XX"),
        ("redis+cluster://u:geheim-4711%@h", "%XX"),
        ("redis+sentinel://u:p/geheim-4711@h/service", "%XX"),
        ("redis://h?geheim-4711@=1", "%XX"),
        ("redis+mystery://localhost", "not known"),
        ("rediss+unix:///run/redis.sock", "not known"),
        ("redis://", "no host"),
        ("redis://:geheim-4711@", "no host"),
        ("redis://localhost:99999", "65535"),
        ("valkey+mystery://localhost", "not known"),
        ("redis://localhost/geheim-4711", "number of a database"),
        ("redis://localhost?db=geheim-4711", "option db"),
        ("redis://localhost?max_retries=geheim-4711", "option max_retries"),
        ("redis://localhost?batching=geheim-4711", "option batching"),
        ("redis://localhost?namespace=geheim-4711%20x", "namespace"),
        ("redis://localhost?tls=geheim-4711", "option tls"),
        ("redis://localhost?tls=prefer", "no meaning"),
        ("redis://localhost?deadline_ms=0", "at least 1"),
        ("redis://localhost?deadline_ms=off", "at least 1"),
        ("redis://localhost/zero", "not a number"),
        ("redis://a,b", "several servers"),
        ("redis://localhost?colour=red", "colour of the URL is not known"),
        ("redis://localhost?deadline_ms=soon", "whole number"),
        ("redis://localhost?batching=maybe", "on or off"),
        ("redis://localhost?namespace=a{b", "namespace"),
        ("redis://u:geheim-4711@localhost/%zz#x", "`#`"),
        ("redis://%zz@localhost", "hexadecimal"),
        ("redis+unix://relative.sock", "a path"),
        ("redis+sentinel://localhost", "no service"),
        ("redis+cluster://localhost/3", "database 0"),
    ] {
        says(&refused(url).await, ErrorKind::Config, &[words]);
    }
}

async fn certificates_that_are_none() {
    let builder = RedisStore::builder().tls_roots("no certificate");
    says(
        &builder.clone().connect("rediss://localhost").await.expect_err("no PEM"),
        ErrorKind::Config,
        &["tls_roots"],
    );
    says(
        &builder.connect("redis://localhost").await.expect_err("no TLS"),
        ErrorKind::Config,
        &["tls=verify-full"],
    );
    let builder = RedisStore::builder().tls_client("no certificate", "no key");
    says(
        &builder.connect("rediss://localhost").await.expect_err("no PEM"),
        ErrorKind::Config,
        &["tls_client"],
    );
}

async fn nobody_there() {
    let error = refused("redis://127.0.0.1:1").await;
    says(&error, ErrorKind::Unavailable { may_have_applied: false }, &["127.0.0.1:1"]);
    let error = refused("redis+unix:///nowhere/redis.sock").await;
    says(&error, ErrorKind::Unavailable { may_have_applied: false }, &["/nowhere/redis.sock"]);
    let error = refused("redis+cluster://127.0.0.1:1,127.0.0.1:2").await;
    says(&error, ErrorKind::Unavailable { may_have_applied: false }, &["127.0.0.1"]);
    let error = refused("redis+sentinel://127.0.0.1:1/mymaster").await;
    says(&error, ErrorKind::Unavailable { may_have_applied: false }, &["127.0.0.1:1"]);
}

async fn wrong_passwords_databases_and_modes() {
    let server = RedisServer::start().await.expect("it starts");
    let mut connection = command::connect(&server.url()).await;
    let secret = format!(">{SECRET}");
    for words in [
        &["ACL", "SETUSER", "web", "on", &secret, "~web:*", "&*", "+@all"][..],
        &["ACL", "SETUSER", "default", "off"],
    ] {
        command::run(&mut connection, words).await;
    }
    let at = server.addr();
    for login in [
        format!("web:wrong-{}@", &SECRET[..3]),
        format!(":{SECRET}@"),
        format!("nobody:{SECRET}@"),
        String::new(),
    ] {
        says(&refused(&format!("redis://{login}{at}")).await, ErrorKind::Config, &["password"]);
    }
    let good = format!("redis://web:{SECRET}@{at}");
    says(&refused(&format!("{good}/99")).await, ErrorKind::Config, &["database"]);
    says(
        &refused(&format!("redis+cluster://web:{SECRET}@{at}")).await,
        ErrorKind::Config,
        &["not a node of a cluster"],
    );
    says(&refused(&format!("redis+sentinel://{at}/mymaster")).await, ErrorKind::Config, &["sentinel"]);
    let error = refused(&format!("rediss://web:{SECRET}@{at}")).await;
    says(&error, ErrorKind::Unavailable { may_have_applied: false }, &["TLS", "redis://"]);

    // With the right credentials, and in another database.
    let store = RedisStore::connect(&format!("{good}/3?namespace=web")).await.expect("the right password");
    assert!(!format!("{store:?}").contains(SECRET));
    store.ping().await.expect("it answers");

    // A namespace that the user has no permission for.
    let store = RedisStore::connect(&format!("{good}?namespace=other")).await.expect("it connects");
    let key = SessionId::generate().key();
    says(&store.read(&key).await.expect_err("not permitted"), ErrorKind::Config, &["permission"]);
    let write = Write::new("x", Ttl::MAX);
    let error = store.write(&key, write, When::Absent).await.expect_err("not permitted");
    says(&error, ErrorKind::Config, &["permission"]);
}

/// The permissions that the crate's documentation lists suffice for everything.
async fn a_user_with_few_permissions() {
    let server = RedisServer::start().await.expect("it starts");
    let mut connection = command::connect(&server.url()).await;
    let rules = "~web:* &* +@read +@write +@scripting +@connection +info +time +cluster|slots +role +asking";
    let secret = format!(">{SECRET}");
    let mut words = vec!["ACL", "SETUSER", "web", "on", &secret];
    words.extend(rules.split(' '));
    command::run(&mut connection, &words).await;
    let url = format!("redis://web:{SECRET}@{}?namespace=web", server.addr());
    let store = RedisStore::connect(&url).await.expect("the right password");
    let (id, owner) = (SessionId::generate(), Owner::new("alice").expect("an owner"));
    let mut events = store.watch().expect("a watch").subscribe().await.expect("it is permitted");
    let write = Write::new("x", Ttl::MAX).owner(OwnerChange::Set(owner.clone()));
    let version = write.version;
    assert!(store.write(&id.key(), write, When::Absent).await.expect("permitted").is_written());
    assert!(events.next().await.is_some());
    assert!(store.touch(&id.key(), Ttl::MAX).await.expect("permitted"));
    let new = id.rotate().key();
    let renamed = store.rename(&id.key(), &new, Write::new("y", Ttl::MAX), version).await;
    assert_eq!(renamed.expect("permitted"), RenameOutcome::Renamed);
    assert_eq!(store.maintenance().expect("it has one").count().await.expect("permitted"), 1);
    let ended = store.owners().expect("an index").delete_all(&owner, None).await.expect("permitted");
    assert_eq!(ended, [new]);
    assert_eq!(store.delete(&new, Expected::Any).await.expect("permitted"), DeleteOutcome::Absent);
    assert_eq!(store.read(&new).await.expect("permitted"), None);
}

async fn a_cluster_is_not_one_server() {
    let cluster = RedisCluster::builder().without_replicas().start().await.expect("it starts");
    says(&refused(&cluster.nodes()[0].url()).await, ErrorKind::Config, &["redis+cluster://"]);
}

async fn a_full_server_says_so() {
    let server = Redis::new().args(["--maxmemory", "1mb"]).start().await.expect("it starts");
    let store = RedisStore::connect(&server.url()).await.expect("it connects");
    let key = SessionId::generate().key();
    let write = Write::new(vec![1; 1 << 20], Ttl::MAX);
    let _ = store.write(&key, write.clone(), When::Any).await;
    let error = store.write(&key, write, When::Any).await.expect_err("it is full");
    says(&error, ErrorKind::Full, &["maxmemory"]);
    assert!(!error.may_have_applied());
}

async fn a_server_that_evicts_sessions_is_warned_of() {
    let lru = ["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"];
    let server = Redis::new().args(lru).start().await.expect("it starts");
    let log = log::on_connect(server.url(), RedisStore::builder()).await.1;
    assert_eq!(log.matches("WARN").count(), 1, "{log}");
    for word in ["allkeys-lru", "CONFIG SET maxmemory-policy noeviction"] {
        assert!(log.contains(word), "{word:?} is not in: {log}");
    }
    for harmless in [&["--maxmemory", "64mb"][..], &["--maxmemory-policy", "allkeys-lru"]] {
        let server = Redis::new().args(harmless).start().await.expect("it starts");
        assert_eq!(
            log::on_connect(server.url(), RedisStore::builder()).await.1,
            "",
            "{harmless:?} evicts nothing"
        );
    }
}

async fn tls_with_its_own_roots_and_client_certificates() {
    let authority = tls::Authority::new();
    let server = Server::launch(tls::RedisWithTls::new(&authority)).await.expect("it starts");
    let port = server.engine().tls_port();
    let (certificate, key) = authority.issue("client");
    let builder =
        || RedisStore::builder().tls_roots(authority.pem()).tls_client(certificate.clone(), key.clone());
    let store = builder().connect(&format!("rediss://localhost:{port}")).await.expect("a TLS connection");
    store.ping().await.expect("it answers");

    let error = RedisStore::connect(&format!("redis://localhost:{port}"))
        .await
        .expect_err("plain text to a TLS port");
    says(&error, ErrorKind::Unavailable { may_have_applied: false }, &["rediss://"]);
    let unknown = tls::Authority::new();
    let error = builder().tls_roots(unknown.pem()).connect(&format!("rediss://localhost:{port}")).await;
    says(&error.expect_err("not to be trusted"), ErrorKind::Config, &["tls_roots"]);
    let error =
        RedisStore::builder().tls_roots(authority.pem()).connect(&format!("rediss://localhost:{port}")).await;
    says(&error.expect_err("no certificate of ours"), ErrorKind::Config, &["TLS"]);
    let error = builder().connect(&format!("rediss://127.0.0.1:{port}")).await;
    says(&error.expect_err("another name"), ErrorKind::Config, &["TLS"]);
}

fn main() -> ExitCode {
    harness::main(cases![
        urls_that_make_no_sense,
        certificates_that_are_none,
        nobody_there,
        wrong_passwords_databases_and_modes,
        a_user_with_few_permissions,
        a_cluster_is_not_one_server,
        a_full_server_says_so,
        a_server_that_evicts_sessions_is_warned_of,
        tls_with_its_own_roots_and_client_certificates,
    ])
}
