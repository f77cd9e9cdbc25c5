//! A password that changes while the store is open.

mod support;

use std::{
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use mongodb::{Client, bson::doc};
use session_core::{Error, ErrorKind, Event, Operation, SessionId, SessionStore, Ttl, When, Write};
use session_mongo::{Credentials, MongoStore};
use session_servers::Server;
use support::{
    guarded::{Guarded, SECRET, guarded},
    harness::{self, cases},
};

const NEW: &str = "newer-0815";

/// Long enough for everything on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A provider's credentials, and how often it was asked.
#[derive(Clone)]
struct Vault {
    login: Arc<Mutex<(String, String)>>,
    asked: Arc<AtomicUsize>,
}

impl Vault {
    fn new(user: &str, password: &str) -> Self {
        let login = Arc::new(Mutex::new((user.to_owned(), password.to_owned())));
        Self { login, asked: Arc::default() }
    }

    fn set(&self, user: &str, password: &str) {
        *self.login.lock().expect("no panic") = (user.to_owned(), password.to_owned());
    }

    async fn open(&self, server: &Server<Guarded>) -> Result<MongoStore, Error> {
        let vault = self.clone();
        let provider = move || {
            vault.asked.fetch_add(1, Ordering::SeqCst);
            let (user, password) = vault.login.lock().expect("no panic").clone();
            async move { Ok(Credentials::new(user, password)) }
        };
        let url = format!("mongodb://{}/tests?replicaSet=session&authSource=admin", server.addr());
        MongoStore::builder()
            .deadline(Duration::from_secs(4))
            .credentials_provider(provider)
            .connect(&url)
            .await
    }
}

/// Runs a command as the administrator.
async fn administer(server: &Server<Guarded>, command: mongodb::bson::Document) {
    let url = format!("mongodb://root:{SECRET}@{}/admin?replicaSet=session", server.addr());
    let client = Client::with_uri_str(url).await.expect("a client");
    client.database("admin").run_command(command).await.expect("it is done");
    client.shutdown().immediate(true).await;
}

async fn write(store: &MongoStore) -> Result<(), Error> {
    let key = SessionId::generate().key();
    let created = Write::new("x", Ttl::MAX);
    let version = created.version;
    assert!(store.write(&key, created, When::Absent).await?.is_written());
    assert!(store.write(&key, Write::new("y", Ttl::MAX), When::Version(version)).await?.is_written());
    assert_eq!(store.read(&key).await?.expect("it is live").data, "y");
    Ok(())
}

/// Waits until a write succeeds. Every error before must be transient.
async fn until_it_works(store: &MongoStore) {
    let begun = Instant::now();
    while let Err(error) = write(store).await {
        assert!(error.is_transient(), "{error:?}");
        assert!(begun.elapsed() < PATIENCE, "{error:?}");
    }
}

async fn a_new_password_is_fetched_when_the_old_one_is_refused() {
    let server = guarded().await;
    let vault = Vault::new("web", SECRET);
    let store = vault.open(&server).await.expect("the right password");
    let mut events = store.watch().expect("a watch").subscribe().await.expect("it is permitted");
    write(&store).await.expect("it is permitted");

    administer(&server, doc! { "updateUser": "web", "pwd": NEW }).await;
    // The restart ends all connections.
    server.restart().await.expect("restarted");
    let error = write(&store).await.expect_err("the password is the old one");
    assert!(matches!(error.kind(), ErrorKind::Unavailable { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains(SECRET), "{error:?}");

    vault.set("web", NEW);
    until_it_works(&store).await;
    // The watch receives what is written from then on, too.
    let heard = async {
        let key = SessionId::generate().key();
        let mut met = Vec::new();
        loop {
            tokio::select! {
                event = events.next() => match event.expect("it goes on") {
                    Event::Changed { key: changed, .. } if changed == key => return met,
                    event => met.push(event),
                },
                () = tokio::time::sleep(Duration::from_millis(200)) => {
                    let _ = store.write(&key, Write::new("x", Ttl::MAX), When::Any).await;
                }
            }
        }
    };
    let met = tokio::time::timeout(PATIENCE, heard).await.expect("it is heard");
    assert!(met.contains(&Event::Interrupted) && met.contains(&Event::Missed), "{met:?}");
    let asked = vault.asked.load(Ordering::SeqCst);
    write(&store).await.expect("it is permitted");
    assert_eq!(vault.asked.load(Ordering::SeqCst), asked, "a login that holds is asked for again");
    store.close().await.expect("closed");
}

/// Rotates credentials as a vault does: each lease has its own user, and the old user is removed
/// while its connections are open.
async fn another_user_takes_over_from_one_that_is_removed() {
    let server = guarded().await;
    let vault = Vault::new("web", SECRET);
    let store = vault.open(&server).await.expect("the right password");
    write(&store).await.expect("it is permitted");
    let role = doc! { "role": "readWrite", "db": "tests" };
    administer(&server, doc! { "createUser": "web2", "pwd": NEW, "roles": [role] }).await;
    vault.set("web2", NEW);
    administer(&server, doc! { "dropUser": "web" }).await;
    until_it_works(&store).await;
}

async fn a_provider_may_be_behind_when_the_store_is_opened() {
    let server = guarded().await;
    let first = AtomicUsize::new(0);
    let provider = move || {
        let password = if first.fetch_add(1, Ordering::SeqCst) == 0 { "of yesterday" } else { SECRET };
        async move { Ok(Credentials::password(password)) }
    };
    let url = format!("mongodb://web@{}/tests?replicaSet=session&authSource=admin", server.addr());
    let store = MongoStore::builder().credentials_provider(provider).connect(&url).await;
    write(&store.expect("the second one is right")).await.expect("it is permitted");
}

async fn a_provider_that_fails_says_why() {
    let provider =
        || async { Err(Error::unavailable(Operation::Connect, false).because("the vault is sealed")) };
    let opened = MongoStore::builder().credentials_provider(provider).connect("mongodb://127.0.0.1:1").await;
    let error = opened.expect_err("there are no credentials");
    assert!(error.to_string().contains("the vault is sealed"), "{error}");
}

fn main() -> ExitCode {
    harness::main(cases![
        a_new_password_is_fetched_when_the_old_one_is_refused,
        another_user_takes_over_from_one_that_is_removed,
        a_provider_may_be_behind_when_the_store_is_opened,
        a_provider_that_fails_says_why,
    ])
}
