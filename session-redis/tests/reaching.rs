//! How a store reaches its servers: URL schemes, TLS, changing credentials, mapped addresses, and
//! the errors when it cannot.

mod support;

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use session_core::{DeleteOutcome, Error, ErrorKind, Expected, SessionId, SessionStore, Ttl, When, Write};
use session_redis::{Credentials, RedisStore, RedisStoreBuilder, TlsMode};
use session_servers::{
    Proxy, Server,
    redis::{Redis, RedisCluster, RedisSentinels, RedisServer},
};
use support::{
    command,
    harness::{self, cases},
    log, tls,
};

const SECRET: &str = "geheim-4711";

fn builder() -> RedisStoreBuilder {
    RedisStore::builder().deadline(Duration::from_secs(3))
}

async fn refused(builder: RedisStoreBuilder, url: &str) -> Error {
    builder.connect(url).await.expect_err(url)
}

fn says(error: &Error, kind: ErrorKind, words: &[&str]) {
    assert_eq!(error.kind(), kind, "{error:?}");
    for word in words {
        assert!(error.to_string().contains(word), "{word:?} is not in: {error}");
    }
}

const UNAVAILABLE: ErrorKind = ErrorKind::Unavailable { may_have_applied: false };

async fn valkey_is_redis_by_another_name() {
    let server = RedisServer::start().await.expect("a server");
    let options = "client_name=web&protocol=3&socket_timeout=2&decode_responses=true";
    let url = format!("valkey://{}/2?{options}", server.addr());
    let store = RedisStore::connect(&url).await.expect("a store");
    store.ping().await.expect("it answers");
    let list = command::run(&mut command::connect(&server.url()).await, &["CLIENT", "LIST"]).await;
    let list: String = redis::from_redis_value(list).expect("a text");
    assert!(list.lines().any(|line| line.contains(" name=web ") && line.contains(" db=2 ")), "{list}");
    let sentinels = RedisSentinels::start(&[], Duration::from_mins(2)).await.expect("sentinels");
    let store = RedisStore::connect(&sentinels.url().replace("redis+", "valkey+")).await.expect("a store");
    store.ping().await.expect("it answers");
}

async fn nothing_shows_a_password() {
    let server = RedisServer::start().await.expect("a server");
    let rule = format!(">{SECRET}");
    command::run(
        &mut command::connect(&server.url()).await,
        &["ACL", "SETUSER", "web", "on", &rule, "~*", "&*", "+@all"],
    )
    .await;
    let builder = builder()
        .user("web")
        .password(SECRET)
        .sentinel_login(None, SECRET)
        .tls_roots(SECRET)
        .tls_client(SECRET, SECRET)
        .credentials(|| async { Ok(Credentials::new("web", SECRET)) });
    for shown in [format!("{builder:?}"), format!("{builder:#?}")] {
        assert!(!shown.contains(SECRET), "{shown}");
    }
    let by_url = RedisStore::connect(&format!("redis://web:{SECRET}@{}", server.addr())).await;
    let url = server.url();
    let by_provider =
        RedisStore::builder().credentials(|| async { Ok(Credentials::new("web", SECRET)) }).connect(&url);
    for store in [by_url.expect("a store"), by_provider.await.expect("a store")] {
        for shown in [format!("{store:?}"), format!("{store:#?}")] {
            assert!(!shown.contains(SECRET) && !shown.contains("103, 101, 104, 101"), "{shown}");
        }
    }
}

/// Each refusal is reported in the server's words. TLS is mentioned only where it may be the cause.
async fn a_server_that_refuses_is_quoted() {
    let nothing = refused(builder(), "redis://127.0.0.1:1").await;
    says(&nothing, UNAVAILABLE, &["Connection refused"]);
    assert!(!nothing.to_string().contains("rediss"), "{nothing}");

    let server = Redis::new().args(["--maxclients", "3"]).start().await.expect("a server");
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(command::connect(&server.url()).await);
    }
    let full = refused(builder(), &server.url()).await;
    says(&full, UNAVAILABLE, &["max number of clients reached"]);
    assert!(!full.to_string().contains("rediss"), "{full}");
    drop(others);

    let server = Redis::new().start().await.expect("a server");
    let rule = ["CONFIG", "SET", "requirepass", SECRET];
    command::run(&mut command::connect(&server.url()).await, &rule).await;
    let error = refused(builder(), &server.url()).await;
    says(&error, ErrorKind::Config, &["password", "NOAUTH"]);
    assert!(!error.to_string().contains("rediss"), "{error}");
    let error = refused(builder().password("another"), &server.url()).await;
    says(&error, ErrorKind::Config, &["password", "WRONGPASS"]);
}

async fn a_replica_is_no_place_for_sessions() {
    let primary = RedisServer::start().await.expect("a server");
    let port = primary.port().to_string();
    let replica = Redis::new().args(["--replicaof", "127.0.0.1", &port]).start().await.expect("a replica");
    says(&refused(builder(), &replica.url()).await, UNAVAILABLE, &["not a primary"]);
}

async fn a_certificate_that_is_its_own_authority() {
    let (certificate, key) = tls::self_signed("localhost");
    let server =
        Server::launch(tls::RedisWithTls::showing(certificate.clone(), key)).await.expect("it starts");
    let port = server.engine().tls_port();
    let at = |host: &str| format!("rediss://{host}:{port}");
    let store =
        builder().tls_roots(certificate.clone()).connect(&at("localhost")).await.expect("it is trusted");
    store.ping().await.expect("it answers");

    // The certificate is one of several, and given as a file.
    let (other, _) = tls::self_signed("localhost");
    let both = format!("{other}{certificate}");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), &both).expect("written");
    let url = format!("{}?tls_roots={}", at("localhost"), file.path().display());
    builder().connect(&url).await.expect("it is trusted").ping().await.expect("it answers");
    let url = format!("{}?ssl_ca_certs={}", at("localhost"), file.path().display());
    builder().connect(&url).await.expect("it is trusted").ping().await.expect("it answers");

    let error = refused(builder().tls_roots(certificate.clone()), &at("127.0.0.1")).await;
    says(&error, ErrorKind::Config, &["TLS"]);
    let error = refused(builder().tls_roots(other), &at("localhost")).await;
    says(&error, ErrorKind::Config, &["tls_roots"]);
    says(&refused(builder(), &at("localhost")).await, ErrorKind::Config, &["tls_roots"]);

    // Weaker checks apply only where they are asked for.
    let any = builder().tls(TlsMode::VerifyCa).tls_roots(certificate).connect(&at("127.0.0.1")).await;
    any.expect("its name does not matter");
    for options in ["tls=require", "ssl_cert_reqs=none"] {
        let (connected, log) = log::on_connect(format!("{}?{options}", at("127.0.0.1")), builder()).await;
        connected.expect("any certificate will do");
        assert_eq!(log, "", "it does not leave this machine");
    }
}

/// A certificate that is trusted as a server's own must still be valid, and the server must have
/// its key.
async fn a_certificate_that_has_expired_or_is_of_another_key() {
    let (certificate, key) = tls::expired("localhost");
    let server =
        Server::launch(tls::RedisWithTls::showing(certificate.clone(), key)).await.expect("it starts");
    let url = format!("rediss://localhost:{}", server.engine().tls_port());
    says(&refused(builder().tls_roots(certificate), &url).await, ErrorKind::Config, &["TLS"]);

    // The same name and subject, but another key.
    let (known, _) = tls::self_signed("localhost");
    let (shown, key) = tls::self_signed("localhost");
    let server = Server::launch(tls::RedisWithTls::showing(shown, key)).await.expect("it starts");
    let url = format!("rediss://localhost:{}", server.engine().tls_port());
    says(&refused(builder().tls_roots(known), &url).await, ErrorKind::Config, &["TLS"]);
}

/// No provider is installed for the process, so the application can install one, before and after.
async fn the_applications_own_provider_can_be_installed() {
    let (certificate, key) = tls::self_signed("localhost");
    let server =
        Server::launch(tls::RedisWithTls::showing(certificate.clone(), key)).await.expect("it starts");
    let url = format!("rediss://localhost:{}", server.engine().tls_port());
    let connect = async || builder().tls_roots(certificate.clone()).connect(&url).await.expect("a store");
    let store = connect().await;
    store.ping().await.expect("it answers");
    assert!(
        rustls::crypto::CryptoProvider::get_default().is_none(),
        "the process has a provider that it did not choose"
    );
    rustls::crypto::ring::default_provider().install_default().expect("the application is the first");
    store.ping().await.expect("it answers");
    connect().await.ping().await.expect("it answers");
}

async fn plain_text_that_leaves_this_machine_is_warned_of_once() {
    let server = RedisServer::start().await.expect("a server");
    let (connected, log) = log::on_connect(server.url(), builder()).await;
    connected.expect("a store");
    assert_eq!(log, "", "this machine is no network");

    // These names lead nowhere, so nothing is sent.
    let far = || builder().deadline(Duration::from_secs(1));
    for url in [
        "redis://redis.invalid",
        "redis+cluster://a.invalid,b.invalid",
        "redis+sentinel://a.invalid,b.invalid/x",
    ] {
        let (connected, log) = log::on_connect(url.to_owned(), far()).await;
        connected.expect_err("there is no such server");
        assert_eq!(log.matches("WARN").count(), 1, "{url}: {log}");
        assert!(log.contains("plain text") && log.contains("tls=verify-full"), "{log}");
    }
    for url in ["rediss://redis.invalid", "redis://redis.invalid?tls=verify-ca"] {
        let (connected, log) = log::on_connect(url.to_owned(), far()).await;
        connected.expect_err("there is no such server");
        assert_eq!(log, "", "{url}");
    }
    let (_, log) = log::on_connect("rediss://redis.invalid?tls=require".to_owned(), far()).await;
    assert!(log.contains("not verified"), "{log}");

    // The seeds are on this machine, but the cluster announces nodes that are not.
    let cluster = RedisCluster::builder()
        .without_replicas()
        .args([
            "--cluster-announce-hostname",
            "node.invalid",
            "--cluster-preferred-endpoint-type",
            "hostname",
        ])
        .start()
        .await
        .expect("a cluster");
    until_known(&cluster, ",node.invalid").await;
    let (connected, log) = log::on_connect(cluster.url(), far().deadline(Duration::from_secs(3))).await;
    says(&connected.expect_err("they cannot be reached"), ErrorKind::Config, &["node.invalid"]);
    assert_eq!(log.matches("plain text").count(), 1, "{log}");
}

async fn works(store: &RedisStore) {
    let key = SessionId::generate().key();
    assert!(store.write(&key, Write::new("x", Ttl::MAX), When::Absent).await.expect("a write").is_written());
    assert!(store.read(&key).await.expect("a read").is_some());
    assert_eq!(store.delete(&key, Expected::Any).await.expect("a delete"), DeleteOutcome::Deleted);
}

/// Changes the password of the user `web`, and ends the connections that use the old one.
async fn change_password(server: &RedisServer, password: &str) {
    let mut connection = command::connect(&server.url()).await;
    let rule = format!(">{password}");
    command::run(&mut connection, &["ACL", "SETUSER", "web", "resetpass", "on", &rule, "~*", "&*", "+@all"])
        .await;
    command::run(&mut connection, &["CLIENT", "KILL", "USER", "web"]).await;
}

async fn a_login_that_changes_is_asked_for_again() {
    let server = RedisServer::start().await.expect("a server");
    let sentinels = RedisSentinels::start(&[], Duration::from_mins(2)).await.expect("sentinels");
    let cluster = RedisCluster::builder().without_replicas().start().await.expect("a cluster");
    let servers = |at: usize| -> Vec<&RedisServer> {
        match at {
            0 => vec![&server],
            1 => vec![&sentinels.servers()[0]],
            _ => cluster.nodes().iter().collect(),
        }
    };
    for (at, url) in [server.url(), sentinels.url(), cluster.url()].into_iter().enumerate() {
        let current = Arc::new(Mutex::new("first".to_owned()));
        let asked = Arc::new(AtomicUsize::new(0));
        for server in servers(at) {
            change_password(server, "first").await;
        }
        let (provides, counts) = (Arc::clone(&current), Arc::clone(&asked));
        let store = builder()
            .credentials(move || {
                counts.fetch_add(1, Ordering::SeqCst);
                let password = provides.lock().clone();
                async move { Ok(Credentials::new("web", password)) }
            })
            .connect(&url)
            .await
            .expect("the first password");
        works(&store).await;
        // The servers change first. They refuse the store, which asks the provider until it returns
        // the new password.
        for server in servers(at) {
            change_password(server, "second").await;
        }
        let before = asked.load(Ordering::SeqCst);
        let begun = Instant::now();
        while asked.load(Ordering::SeqCst) < before + 3 {
            assert!(begun.elapsed() < Duration::from_secs(20), "it does not ask again");
            tokio::task::yield_now().await;
        }
        "second".clone_into(&mut current.lock());
        works(&store).await;
        assert!(!format!("{store:?}").contains("second"));
    }
}

async fn a_provider_that_fails_says_why() {
    let server = RedisServer::start().await.expect("a server");
    let provider = || async {
        Err(Error::unavailable(session_core::Operation::Connect, false).because("the vault is sealed"))
    };
    let error = refused(builder().credentials(provider), &server.url()).await;
    says(&error, UNAVAILABLE, &["the vault is sealed"]);
}

/// Waits until every node knows this of all nodes.
async fn until_known(cluster: &RedisCluster, words: &str) {
    for node in cluster.nodes() {
        let mut connection = command::connect(&node.url()).await;
        loop {
            let nodes = command::run(&mut connection, &["CLUSTER", "NODES"]).await;
            let nodes: String = redis::from_redis_value(nodes).expect("a text");
            if nodes.matches(words).count() == cluster.nodes().len() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Nodes that announce an address of another network, as in Docker: 127.77.0.1, where nothing
/// listens.
async fn a_cluster_that_announces_other_addresses() {
    let elsewhere = ["--cluster-announce-ip", "127.77.0.1"];
    // The nodes reach each other at the announced address, so that only clients are kept out.
    let bind = ["--bind", "127.0.0.1", "127.77.0.1"];
    let cluster = RedisCluster::builder().without_replicas().args(bind).start().await.expect("a cluster");
    let mut proxies = Vec::new();
    for node in cluster.nodes() {
        let mut connection = command::connect(&node.url()).await;
        command::run(&mut connection, &["CONFIG", "SET", &elsewhere[0][2..], elsewhere[1]]).await;
        proxies.push(Proxy::start(node.addr()).await.expect("a proxy"));
    }
    let ports: Vec<u16> = proxies.iter().map(|proxy| proxy.addr().port()).collect();
    cluster.announce(&ports).await.expect("announced");
    until_known(&cluster, " 127.77.0.1:").await;
    let error = refused(builder(), &cluster.url()).await;
    says(
        &error,
        ErrorKind::Config,
        &["127.77.0.1", &ports[0].to_string(), "cluster-announce-ip", "address_map"],
    );

    let store = builder()
        .address_map(|host, port| {
            assert_eq!(host, "127.77.0.1");
            ("127.0.0.1".to_owned(), port)
        })
        .connect(&cluster.url())
        .await
        .expect("every node is reached");
    for _ in 0..64 {
        works(&store).await;
    }
    assert!(proxies.iter().all(|proxy| !proxy.connections().is_empty()), "all nodes are reached by the map");
}

async fn a_sentinel_that_announces_another_address() {
    let server = RedisServer::start().await.expect("a server");
    let port = server.port();
    let sentinels = RedisSentinels::for_one(server, port, Duration::from_mins(2)).await.expect("sentinels");
    let proxy = Proxy::start(sentinels.servers()[0].addr()).await.expect("a proxy");
    let reachable = proxy.addr().port();
    let store = builder()
        .address_map(move |host, announced| {
            assert_eq!((host, announced), ("127.0.0.1", port));
            ("127.0.0.1".to_owned(), reachable)
        })
        .connect(&sentinels.url())
        .await
        .expect("a store");
    works(&store).await;
    assert!(!proxy.connections().is_empty(), "it is reached through the proxy");
}

/// A missing permission is named at once.
async fn a_watch_that_is_refused_says_which_right_is_missing() {
    let server = RedisServer::start().await.expect("a server");
    let rule = format!(">{SECRET}");
    let words = ["ACL", "SETUSER", "web", "on", &rule, "~*", "&*", "+@all", "-client|tracking"];
    command::run(&mut command::connect(&server.url()).await, &words).await;
    let store = builder().deadline(Duration::from_mins(1));
    let store = store.connect(&format!("redis://web:{SECRET}@{}", server.addr())).await.expect("a store");
    let begun = Instant::now();
    let Err(error) = store.watch().expect("it has one").subscribe().await else {
        panic!("it is not permitted")
    };
    says(&error, ErrorKind::Config, &["+client|tracking", "NOPERM"]);
    assert!(begun.elapsed() < Duration::from_secs(30), "it waited for the deadline");
    command::run(&mut command::connect(&server.url()).await, &["ACL", "SETUSER", "web", "+client|tracking"])
        .await;
    while store.watch().expect("it has one").subscribe().await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it is permitted now");
    }
}

fn main() -> ExitCode {
    harness::main(cases![
        valkey_is_redis_by_another_name,
        nothing_shows_a_password,
        a_server_that_refuses_is_quoted,
        a_replica_is_no_place_for_sessions,
        a_certificate_that_is_its_own_authority,
        a_certificate_that_has_expired_or_is_of_another_key,
        the_applications_own_provider_can_be_installed,
        plain_text_that_leaves_this_machine_is_warned_of_once,
        a_login_that_changes_is_asked_for_again,
        a_provider_that_fails_says_why,
        a_cluster_that_announces_other_addresses,
        a_sentinel_that_announces_another_address,
        a_watch_that_is_refused_says_which_right_is_missing,
    ])
}
