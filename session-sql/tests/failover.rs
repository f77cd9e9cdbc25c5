//! Servers that are no longer primaries, and other servers in their place.

mod support;

use std::{process::ExitCode, sync::Arc, time::Duration};

use futures_util::StreamExt;
use session_core::{Error, Event, SessionId, SessionKey, SessionStore, When};
use session_servers::{Proxy, mariadb::MariaDb, postgres::Postgres};
use session_sql::{MySqlStore, PostgresStore};
use sqlx::{Connection, MySqlConnection, MySqlPool, PgConnection, PgPool};
use support::lab::{self, Kind, Lab, on_both, write};
use tokio::time::{Instant, sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(10);

/// How long a server that has become read-only may go on answering reads: the bound of the README,
/// and an allowance for a loaded machine.
const BOUND: Duration = Duration::from_millis(1_000 + 700);

async fn created(store: &dyn SessionStore) -> SessionKey {
    let key = SessionId::generate().key();
    assert!(store.write(&key, write("x"), When::Absent).await.expect("it answers").is_written());
    key
}

/// Runs every operation that reads.
async fn questions(store: &dyn SessionStore, key: &SessionKey) -> Vec<Result<(), Error>> {
    let owner = session_core::Owner::new("alice").expect("an owner");
    let (owners, maintenance) = (store.owners().expect("it has"), store.maintenance().expect("it has"));
    vec![
        store.read(key).await.map(drop),
        store.read_many(&[*key, SessionId::generate().key()]).await.remove(1).map(drop),
        owners.list(&owner).await.map(drop),
        owners.count(&owner).await.map(drop),
        maintenance.count().await.map(drop),
        maintenance.page(None, 10).await.map(drop),
    ]
}

/// An address leads to the primary, then for a while to a server that follows it and lacks the
/// latest changes.
async fn a_replica_in_its_place_never_answers(kind: Kind) {
    let lab = Lab::start(kind, &[]).await;
    let address = |url: &str| url.split(['@', '/']).nth(3).expect("an address").parse().expect("an address");
    let proxy = Proxy::start(address(&lab.direct)).await.expect("a proxy");
    let url = lab.direct.replace(&address(&lab.direct).to_string(), &proxy.addr().to_string());
    let store = lab.try_open(&format!("{url}?deadline_ms=2000")).await.expect("it opens");
    let other = lab.try_open(&lab.direct).await.expect("it opens");
    let key = created(&*store).await;

    let (replica, _servers) = match kind {
        Kind::Postgres => {
            let replica = Postgres::new().replica_of(address(&lab.direct)).start().await.expect("it starts");
            let mut connection = PgConnection::connect(&replica.url()).await.expect("connected");
            let pause = "SELECT pg_wal_replay_pause()";
            sqlx::raw_sql(pause).execute(&mut connection).await.expect("executed");
            (replica.addr(), (Some(replica), None))
        }
        Kind::MariaDb => {
            let replica = MariaDb::new().start().await.expect("it starts");
            let behind = MySqlStore::connect(&replica.url()).await.expect("it opens");
            assert!(behind.write(&key, write("x"), When::Absent).await.expect("it answers").is_written());
            let mut connection = MySqlConnection::connect(&replica.url()).await.expect("connected");
            let only_reads = "SET GLOBAL read_only = 1";
            sqlx::raw_sql(only_reads).execute(&mut connection).await.expect("executed");
            (replica.addr(), (None, Some(replica)))
        }
    };
    let deleted = other.delete(&key, session_core::Expected::Any).await.expect("it answers");
    assert_eq!(deleted, session_core::DeleteOutcome::Deleted);

    proxy.redirect(replica);
    proxy.cut_all();
    for _ in 0..20 {
        for answer in questions(&*store, &key).await {
            let error = answer.expect_err("a replica must not answer");
            assert!(error.is_transient() && !error.may_have_applied(), "{error}");
        }
        let error = store.write(&key, write("y"), When::Any).await.expect_err("a replica takes no writes");
        assert!(error.is_transient(), "{error}");
    }
    assert!(store.read(&key).await.expect_err("still").to_string().contains("only reads"));

    // Connections to the replica, if there are any, stay open.
    proxy.redirect(address(&lab.direct));
    for _ in 0..50 {
        assert!(store.read(&key).await.expect("it answers").is_none(), "a deleted session is shown");
    }
    created(&*store).await;
}

async fn only_reads(lab: &Lab, on: bool) {
    lab.run(match (lab.kind, on) {
        (Kind::Postgres, true) => "ALTER SYSTEM SET default_transaction_read_only = on",
        (Kind::Postgres, false) => "ALTER SYSTEM SET default_transaction_read_only = off",
        (Kind::MariaDb, true) => "SET GLOBAL read_only = 1",
        (Kind::MariaDb, false) => "SET GLOBAL read_only = 0",
    })
    .await;
    if lab.kind == Kind::Postgres {
        lab.run("SELECT pg_reload_conf()").await;
    }
}

async fn on_a_pool(lab: &Lab) -> Arc<dyn SessionStore> {
    match lab.kind {
        Kind::Postgres => {
            let pool = PgPool::connect(&lab.direct).await.expect("it connects");
            Arc::new(PostgresStore::from_pool(pool).await.expect("it opens"))
        }
        Kind::MariaDb => {
            let pool = MySqlPool::connect(&lab.direct).await.expect("it connects");
            Arc::new(MySqlStore::from_pool(pool).await.expect("it opens"))
        }
    }
}

/// The server's connections stay open, and busy, while its role changes.
async fn a_server_that_becomes_read_only_is_left(kind: Kind) {
    let lab = Lab::start(kind, &[]).await;
    for store in [lab.open("").await, on_a_pool(&lab).await] {
        let key = created(&*store).await;
        let mut events = store.watch().expect("it has").subscribe().await.expect("it listens");
        for _ in 0..2 {
            only_reads(&lab, true).await;
            let begun = Instant::now();
            while begun.elapsed() < BOUND {
                // The server may answer during this time, but not after it.
                let _ = store.read(&key).await;
            }
            let answers = questions(&*store, &key).await.into_iter();
            let errors: Vec<_> =
                answers.map(|answer| answer.expect_err("a server that only reads must not answer")).collect();
            assert!(errors.iter().all(Error::is_transient), "{errors:?}");
            // On a slow machine, a deadline may pass before the reason is known.
            assert!(errors.iter().any(|error| error.to_string().contains("only reads")), "{errors:?}");
            only_reads(&lab, false).await;
            let begun = Instant::now();
            while let Err(error) = store.read(&key).await {
                assert!(error.is_transient() && begun.elapsed() < PATIENCE, "{error}");
                sleep(Duration::from_millis(5)).await;
            }
            created(&*store).await;
        }
        let missed = async { while events.next().await.expect("it goes on") != Event::Missed {} };
        timeout(PATIENCE, missed).await.expect("listeners are told that they may have missed something");
    }
}

fn main() -> ExitCode {
    lab::main(on_both![a_replica_in_its_place_never_answers, a_server_that_becomes_read_only_is_left])
}
