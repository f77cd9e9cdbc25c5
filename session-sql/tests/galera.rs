//! A node of a Galera cluster that cannot serve for a while.

mod support;

use std::{process::ExitCode, time::Duration};

use session_core::{Error, ErrorKind, Expected, Owner, SessionId, SessionKey, SessionStore, Version, When};
use session_servers::mariadb::{Galera, provider};
use session_sql::MySqlStore;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, MySqlPool};
use support::lab::{self, Kind, case, hour, write};
use tokio::time::{Instant, sleep};

const PATIENCE: Duration = Duration::from_secs(10);

async fn run(url: &str, sql: &str) {
    let mut connection = MySqlConnection::connect(url).await.expect("connected");
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.expect("executed");
}

/// Runs each operation and returns the results.
async fn everything(store: &dyn SessionStore, key: &SessionKey) -> Vec<Result<(), Error>> {
    let owner = Owner::new("alice").expect("an owner");
    let (owners, maintenance) = (store.owners().expect("it has"), store.maintenance().expect("it has"));
    let new = || SessionId::generate().key();
    vec![
        store.read(key).await.map(drop),
        store.write(&new(), write("x"), When::Absent).await.map(drop),
        store.write(key, write("x"), When::Any).await.map(drop),
        store.write(key, write("x"), When::Version(Version::random())).await.map(drop),
        store.touch(key, hour()).await.map(drop),
        store.delete(&new(), Expected::Any).await.map(drop),
        store.rename(key, &new(), write("x"), Version::random()).await.map(drop),
        owners.list(&owner).await.map(drop),
        owners.delete_all(&owner, None).await.map(drop),
        maintenance.count().await.map(drop),
        maintenance.purge_expired(10).await.map(drop),
        store.ping().await,
    ]
}

async fn refuses(store: &dyn SessionStore, key: &SessionKey) {
    for answer in everything(store, key).await {
        let error = answer.expect_err("the node does not serve");
        assert_eq!(error.kind(), ErrorKind::Unavailable { may_have_applied: false }, "{error}");
        assert!(error.to_string().contains("cluster"), "{error}");
    }
}

async fn serves_again(store: &dyn SessionStore, key: &SessionKey) {
    let begun = Instant::now();
    while let Err(error) = store.read(key).await {
        assert!(error.is_transient() && begun.elapsed() < PATIENCE, "{error}");
        sleep(Duration::from_millis(5)).await;
    }
    assert!(store.read(key).await.expect("it answers").is_some(), "a session is lost");
    for answer in everything(store, key).await {
        answer.expect("it serves again");
    }
}

async fn a_node_that_cannot_serve_is_unavailable(_: Kind) {
    let cluster = Galera::start().await.expect("it starts");
    let node = cluster.node();
    let pool = MySqlPool::connect(&node.url()).await.expect("it connects");
    let own = MySqlStore::connect(&node.url()).await.expect("it opens");
    let on_pool = MySqlStore::from_pool(pool).await.expect("it opens");
    let key = SessionId::generate().key();
    assert!(own.write(&key, write("x"), When::Absent).await.expect("it answers").is_written());

    run(&node.url(), "SET GLOBAL wsrep_reject_queries = ALL").await;
    refuses(&own, &key).await;
    refuses(&on_pool, &key).await;
    run(&node.url(), "SET GLOBAL wsrep_reject_queries = NONE").await;
    serves_again(&own, &key).await;
    serves_again(&on_pool, &key).await;

    cluster.lose_majority().await.expect("it notices");
    refuses(&own, &key).await;
    refuses(&on_pool, &key).await;
    let error = MySqlStore::connect(&node.url()).await.expect_err("the node does not serve");
    assert_eq!(error.kind(), ErrorKind::Unavailable { may_have_applied: false }, "{error}");
    cluster.bootstrap().await.expect("it serves again");
    serves_again(&own, &key).await;
    serves_again(&on_pool, &key).await;
}

fn main() -> ExitCode {
    let name = "a_node_that_cannot_serve_is_unavailable";
    let cases = vec![case(name, Kind::MariaDb, a_node_that_cannot_serve_is_unavailable)];
    lab::main_with("galera", provider().err(), cases)
}
