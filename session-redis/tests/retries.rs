//! Which requests are sent again when their reply was lost, and which are not.

mod support;

use std::{process::ExitCode, time::Duration};

use session_core::{
    DeleteOutcome, ErrorKind, Expected, Owner, OwnerChange, RenameOutcome, SessionId, SessionKey,
    SessionStore, Ttl, Version, When, Write, WriteOutcome,
};
use session_redis::{BatchSettings, RedisStore};
use session_servers::{Proxy, redis::RedisServer};
use support::harness::{self, cases};
use tokio::{task::JoinHandle, time::sleep};

/// A server and two handles on it: one goes through a proxy, the other bypasses it.
struct Setting {
    _server: RedisServer,
    proxy: Proxy,
    through: RedisStore,
    past: RedisStore,
}

fn write(data: &'static str) -> Write {
    Write::new(data, Ttl::MAX)
}

impl Setting {
    async fn new() -> Self {
        let server = RedisServer::start().await.expect("a server");
        let proxy = Proxy::start(server.addr()).await.expect("a proxy");
        let open = async |url: &str| {
            let builder =
                RedisStore::builder().batching(BatchSettings::disabled()).deadline(Duration::from_secs(5));
            builder.connect(url).await.expect("a store")
        };
        let through = open(&format!("redis://{}", proxy.addr())).await;
        let past = open(&server.url()).await;
        // This loads all scripts. Otherwise the swallowed reply could be `NOSCRIPT`.
        let (scratch, owner) = (SessionId::generate(), Owner::new("nobody").expect("an owner"));
        let version = created(&past, &scratch.key()).await;
        let renamed = past.rename(&scratch.key(), &scratch.rotate().key(), write("scratch"), version).await;
        assert_eq!(renamed.expect("a rename"), RenameOutcome::Renamed);
        let deleted = past.delete(&scratch.key(), Expected::Any).await;
        assert_eq!(deleted.expect("a delete"), DeleteOutcome::Absent);
        past.owners().expect("it has them").delete_all(&owner, None).await.expect("a deletion");
        Self { _server: server, proxy, through, past }
    }

    /// Starts an operation whose reply is swallowed. Returns when the server has carried it out,
    /// which is when `until` holds for the version of the session.
    async fn carry_out<T: Send + 'static>(
        &self,
        operation: impl Future<Output = T> + Send + 'static,
        key: &SessionKey,
        until: impl Fn(Option<Version>) -> bool,
    ) -> JoinHandle<T> {
        self.through.ping().await.expect("it is connected");
        self.proxy.swallow_replies(true);
        let operation = tokio::spawn(operation);
        while !until(self.version(key).await) {
            assert!(!operation.is_finished(), "it was not carried out");
            sleep(Duration::from_millis(1)).await;
        }
        self.proxy.swallowed().await;
        operation
    }

    /// Breaks the connection, so that the reply is lost.
    fn lose(&self) {
        self.proxy.swallow_replies(false);
    }

    async fn version(&self, key: &SessionKey) -> Option<Version> {
        self.past.read(key).await.expect("a read").map(|record| record.version)
    }
}

async fn created(store: &RedisStore, key: &SessionKey) -> Version {
    let write = write("first");
    let version = write.version;
    assert!(store.write(key, write, When::Absent).await.expect("a write").is_written());
    version
}

/// A retry would bring back a session that was ended since.
async fn a_creation_is_not() {
    let (setting, key) = (Setting::new().await, SessionId::generate().key());
    for when in [When::Absent, When::Any] {
        let store = setting.through.clone();
        let write = async move { store.write(&key, write("late"), when).await };
        let operation = setting.carry_out(write, &key, |version| version.is_some()).await;
        let logout = setting.past.delete(&key, Expected::Any).await.expect("a logout");
        assert_eq!(logout, DeleteOutcome::Deleted);
        setting.lose();
        let outcome = operation.await.expect("no panic");
        let error = outcome.expect_err("nobody knows");
        assert!(error.may_have_applied(), "{error}");
        assert_eq!(setting.version(&key).await, None, "it was ended");
    }
}

/// A retry would end a session that was created since.
async fn a_delete_without_a_version_is_not() {
    let (setting, key) = (Setting::new().await, SessionId::generate().key());
    created(&setting.past, &key).await;
    let store = setting.through.clone();
    let operation = setting
        .carry_out(async move { store.delete(&key, Expected::Any).await }, &key, |version| version.is_none())
        .await;
    created(&setting.past, &key).await;
    setting.lose();
    let outcome = operation.await.expect("no panic");
    let error = outcome.expect_err("nobody knows");
    assert!(error.may_have_applied(), "{error}");
    assert!(setting.version(&key).await.is_some(), "it is another one");
}

async fn a_deletion_by_owner_is_not() {
    let (setting, [old, new]) = (Setting::new().await, [(); 2].map(|()| SessionId::generate().key()));
    let alice = Owner::new("alice").expect("an owner");
    let owned = || Write { owner: OwnerChange::Set(Owner::new("alice").expect("an owner")), ..write("hers") };
    assert!(setting.past.write(&old, owned(), When::Absent).await.expect("a write").is_written());
    let store = setting.through.clone();
    store.ping().await.expect("it is connected");
    // The first round trip only asks for the members. The connection breaks while the reply of the
    // second is on its way.
    setting.proxy.delay(Duration::from_millis(150));
    let operation =
        tokio::spawn(async move { store.owners().expect("it has them").delete_all(&alice, None).await });
    while setting.version(&old).await.is_some() {
        assert!(!operation.is_finished(), "it was not carried out");
        sleep(Duration::from_millis(1)).await;
    }
    setting.proxy.cut_all();
    setting.proxy.delay(Duration::ZERO);
    assert!(setting.past.write(&new, owned(), When::Absent).await.expect("a write").is_written());
    let outcome = operation.await.expect("no panic");
    let error = outcome.expect_err("nobody knows");
    assert!(error.may_have_applied(), "{error}");
    assert!(setting.version(&new).await.is_some(), "it was created since");
}

/// The retry finds its own version, and nothing happens twice.
async fn a_write_with_a_version_is() {
    let (setting, key) = (Setting::new().await, SessionId::generate().key());
    let first = created(&setting.past, &key).await;
    let (store, second) = (setting.through.clone(), write("second"));
    let version = second.version;
    let operation = setting
        .carry_out(async move { store.write(&key, second, When::Version(first)).await }, &key, |now| {
            now == Some(version)
        })
        .await;
    setting.lose();
    let outcome = operation.await.expect("no panic");
    assert_eq!(outcome.expect("it knows itself"), WriteOutcome::Written);
    assert_eq!(setting.version(&key).await, Some(version));
}

/// The retry finds another version: either its own was replaced, or it was never carried out.
async fn and_says_so_when_it_cannot_know() {
    let (setting, key) = (Setting::new().await, SessionId::generate().key());
    let first = created(&setting.past, &key).await;
    let (store, second) = (setting.through.clone(), write("second"));
    let version = second.version;
    let operation = setting
        .carry_out(async move { store.write(&key, second, When::Version(first)).await }, &key, |now| {
            now == Some(version)
        })
        .await;
    assert!(
        setting.past.write(&key, write("third"), When::Version(version)).await.expect("a write").is_written()
    );
    setting.lose();
    let outcome = operation.await.expect("no panic");
    let error = outcome.expect_err("nobody knows");
    assert_eq!(error.kind(), ErrorKind::Unavailable { may_have_applied: true });
    let record = setting.past.read(&key).await.expect("a read").expect("it is live");
    assert_eq!(record.data, "third");
}

async fn a_rename_is() {
    let (setting, old) = (Setting::new().await, SessionId::generate());
    let (new, old) = (old.rotate().key(), old.key());
    let first = created(&setting.past, &old).await;
    let store = setting.through.clone();
    let operation = setting
        .carry_out(async move { store.rename(&old, &new, write("second"), first).await }, &new, |version| {
            version.is_some()
        })
        .await;
    setting.lose();
    let outcome = operation.await.expect("no panic");
    assert_eq!(outcome.expect("it knows itself"), RenameOutcome::Renamed);
    assert_eq!(setting.version(&old).await, None);
}

async fn a_read_is() {
    let (setting, key) = (Setting::new().await, SessionId::generate().key());
    created(&setting.past, &key).await;
    let store = setting.through.clone();
    setting.proxy.swallow_replies(true);
    let read = tokio::spawn(async move { store.read(&key).await });
    setting.proxy.swallowed().await;
    setting.proxy.swallow_replies(false);
    assert!(read.await.expect("no panic").expect("it is asked again").is_some());
}

fn main() -> ExitCode {
    harness::main(cases![
        a_creation_is_not,
        a_delete_without_a_version_is_not,
        a_deletion_by_owner_is_not,
        a_write_with_a_version_is,
        and_says_so_when_it_cannot_know,
        a_rename_is,
        a_read_is,
    ])
}
