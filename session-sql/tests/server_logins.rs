//! Logins that change while a store runs.

mod support;

use std::{
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::StreamExt as _;
use session_core::{Error, Event, Operation, Result, SessionId, SessionStore, When};
use session_sql::{Credentials, CredentialsProvider, MySqlStore, PostgresStore};
use support::lab::{self, Kind, Lab, on_both, serves, write};
use tokio::time::{Instant, timeout};

const PATIENCE: Duration = Duration::from_secs(20);

/// A password that changes.
#[derive(Clone, Default)]
struct Vault {
    password: Arc<Mutex<&'static str>>,
    asked: Arc<AtomicUsize>,
}

impl Vault {
    fn set(&self, password: &'static str) {
        *self.password.lock().expect("no panic") = password;
    }

    fn provider(&self) -> impl CredentialsProvider + use<> {
        let vault = self.clone();
        move || {
            vault.asked.fetch_add(1, SeqCst);
            let password = *vault.password.lock().expect("no panic");
            async move { Ok(Credentials::new("app", password)) }
        }
    }
}

async fn open(lab: &Lab, provider: impl CredentialsProvider) -> Result<Arc<dyn SessionStore>> {
    Ok(match lab.kind {
        Kind::Postgres => Arc::new(PostgresStore::builder().credentials(provider).connect(&lab.url).await?),
        Kind::MariaDb => Arc::new(MySqlStore::builder().credentials(provider).connect(&lab.url).await?),
    })
}

async fn change_password(lab: &Lab, password: &str) {
    match lab.kind {
        Kind::Postgres => lab.run(&format!("ALTER USER app PASSWORD '{password}'")).await,
        Kind::MariaDb => lab.run(&format!("ALTER USER app IDENTIFIED BY '{password}'")).await,
    }
}

async fn end_connections(lab: &Lab) {
    match lab.kind {
        Kind::Postgres => lab.end_all_connections().await,
        Kind::MariaDb => lab.run("KILL USER app").await,
    }
}

async fn a_changed_password_is_followed(kind: Kind) {
    let lab = Lab::start(kind, &[]).await;
    lab.make_user("app", "one", "scram-sha-256").await;
    let vault = Vault::default();
    vault.set("one");
    let store = open(&lab, vault.provider()).await.expect("it opens");
    let mut events = store.watch().expect("it has one").subscribe().await.expect("a stream");
    serves(&*store).await;
    let key = SessionId::generate().key();
    for (round, password) in ["two", "three"].into_iter().enumerate() {
        change_password(&lab, password).await;
        vault.set(password);
        end_connections(&lab).await;
        let begun = Instant::now();
        // A request that was under way on an ended connection may fail once.
        while let Err(error) = store.write(&key, write(password), When::Any).await {
            assert!(error.is_transient(), "round {round}: {error:?}");
            assert!(begun.elapsed() < PATIENCE, "it does not come back: {error:?}");
        }
        serves(&*store).await;
        // The connection that listens has to log in as well.
        let heard = async {
            loop {
                match events.next().await.expect("the stream goes on") {
                    Event::Changed { key: changed, .. } if changed == key => return,
                    // Until the listener is connected again, it receives nothing.
                    Event::Missed => {
                        let written = store.write(&key, write(password), When::Any).await;
                        assert!(written.expect("it answers").is_written());
                    }
                    _ => {}
                }
            }
        };
        timeout(PATIENCE, heard).await.expect("it hears again");
    }
    store.close().await.expect("it closes");
}

/// The provider may report a change later than the server applies it, or in the middle of an
/// attempt.
async fn a_refused_login_is_asked_for_again(kind: Kind) {
    let lab = Lab::start(kind, &[]).await;
    lab.make_user("app", "new", "scram-sha-256").await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let provider = move || {
        let password = if counted.fetch_add(1, SeqCst) == 0 { "old" } else { "new" };
        async move { Ok(Credentials::new("app", password)) }
    };
    serves(&*open(&lab, provider).await.expect("it opens")).await;
    assert!(asked.load(SeqCst) >= 2);
    // A refused login is not sent again.
    let vault = Vault::default();
    vault.set("wrong");
    let error = open(&lab, vault.provider()).await.map(drop).expect_err("it must not open");
    assert!(error.to_string().contains("refused the login"), "{error:?}");
    assert!(!format!("{error:?}").contains("wrong"), "{error:?}");
    assert_eq!(vault.asked.load(SeqCst), 2, "asked once, and once again");
}

async fn a_provider_that_fails_is_named(kind: Kind) {
    let lab = Lab::start(kind, &[]).await;
    let provider = || async { Err(Error::unavailable(Operation::Connect, true)) };
    let error = open(&lab, provider).await.map(drop).expect_err("it must not open");
    assert!(error.is_transient() && !error.may_have_applied(), "{error:?}");
    assert!(error.to_string().contains("provider"), "{error:?}");
}

fn main() -> ExitCode {
    lab::main(on_both![
        a_changed_password_is_followed,
        a_provider_that_fails_is_named,
        a_refused_login_is_asked_for_again,
    ])
}
