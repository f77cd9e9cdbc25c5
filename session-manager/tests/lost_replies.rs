//! Counters over a network that drops replies: no update counts twice, and no update that succeeded
//! is missing.

use std::{
    any::Any,
    fmt::Display,
    future::Future,
    pin::Pin,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use session_core::SessionStore;
use session_manager::{SessionError, SessionManager};
use session_mongo::MongoStore;
use session_redis::RedisStore;
use session_servers::{
    Proxy, mariadb::MariaDbServer, mongo::MongoReplicaSet, postgres::PostgresServer, redis::RedisServer,
    required,
};
use session_sql::{MySqlStore, PostgresStore};
use tokio::{runtime::Runtime, time::sleep};

const DEADLINE: Duration = Duration::from_secs(1);

/// A server, a proxy in front of it, and a store that knows only the proxy.
struct Setting {
    _server: Box<dyn Any>,
    proxy: Proxy,
    store: Arc<dyn SessionStore>,
}

type Set = Result<Setting, String>;

fn text(error: impl Display) -> String {
    error.to_string()
}

async fn redis() -> Set {
    let server = RedisServer::start().await.map_err(text)?;
    let proxy = Proxy::start(server.addr()).await.map_err(text)?;
    let url = format!("redis://{}", proxy.addr());
    let store = RedisStore::builder().deadline(DEADLINE).connect(&url).await.map_err(text)?;
    Ok(Setting { _server: Box::new(server), proxy, store: Arc::new(store) })
}

async fn postgres() -> Set {
    let server = PostgresServer::start().await.map_err(text)?;
    let proxy = Proxy::start(server.addr()).await.map_err(text)?;
    let url = format!("postgres://postgres@{}/postgres", proxy.addr());
    let store = PostgresStore::builder().deadline(DEADLINE).connect(&url).await.map_err(text)?;
    Ok(Setting { _server: Box::new(server), proxy, store: Arc::new(store) })
}

async fn mysql() -> Set {
    let server = MariaDbServer::start().await.map_err(text)?;
    let proxy = Proxy::start(server.addr()).await.map_err(text)?;
    let url = format!("mysql://root@{}/sessions", proxy.addr());
    let store = MySqlStore::builder().deadline(DEADLINE).connect(&url).await.map_err(text)?;
    Ok(Setting { _server: Box::new(server), proxy, store: Arc::new(store) })
}

/// The member announces the proxy's address to clients.
async fn mongo() -> Set {
    let member = MongoReplicaSet::member().start().await.map_err(text)?;
    let proxy = Proxy::start(member.addr()).await.map_err(text)?;
    let set = MongoReplicaSet::initiate(vec![member], vec![proxy.addr()], Duration::from_secs(10));
    let set = set.await.map_err(text)?;
    let store = MongoStore::builder().deadline(DEADLINE).connect(&set.url()).await.map_err(text)?;
    Ok(Setting { _server: Box::new(set), proxy, store: Arc::new(store) })
}

async fn counters_stay_exact(store: Arc<dyn SessionStore>, proxy: &Proxy) {
    let manager = SessionManager::new(store);
    let session = manager.create();
    session.insert("count", &0_u64).expect("a number");
    session.save().await.expect("it is created");
    let id = session.id().expect("it is stored");
    let until = Instant::now() + Duration::from_secs(6);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (manager, id) = (manager.clone(), id.clone());
            tokio::spawn(async move {
                let (mut sure, mut unsure) = (0_u64, 0_u64);
                while Instant::now() < until {
                    let Ok(Some(session)) = manager.load(&id).await else { continue };
                    match session.update("count", |count: Option<u64>| count.expect("it is there") + 1).await
                    {
                        Ok(_) => sure += 1,
                        Err(SessionError::Store(error)) if error.may_have_applied() => unsure += 1,
                        Err(SessionError::Store(error)) => assert!(error.is_transient(), "{error}"),
                        Err(error) => panic!("{error}"),
                    }
                }
                (sure, unsure)
            })
        })
        .collect();
    for silence in [20, 300, 1_300] {
        sleep(Duration::from_millis(500)).await;
        proxy.swallow_replies(true);
        sleep(Duration::from_millis(silence)).await;
        proxy.swallow_replies(false);
    }
    let (mut sure, mut unsure) = (0, 0);
    for task in tasks {
        let (some, perhaps) = task.await.expect("no panic");
        (sure, unsure) = (sure + some, unsure + perhaps);
    }
    let session = manager.load(&id).await.expect("it is back").expect("it is live");
    let count: u64 = session.get("count").await.expect("a number").expect("it is there");
    assert!((sure..=sure + unsure).contains(&count), "{count} of {sure} sure and {unsure} unsure updates");
    assert!(sure > 100, "only {sure} updates");
}

fn trial(word: &'static str, set: fn() -> Pin<Box<dyn Future<Output = Set>>>) -> Trial {
    Trial::ignorable_test(format!("{word}::counters_stay_exact"), move || {
        Runtime::new()?.block_on(async {
            let setting = match set().await {
                Ok(setting) => setting,
                Err(reason) if required(word) => return Err(Failed::from(reason)),
                Err(reason) => return Ok(Completion::ignored_with(reason)),
            };
            counters_stay_exact(setting.store, &setting.proxy).await;
            Ok(Completion::Completed)
        })
    })
}

fn main() -> ExitCode {
    let trials = vec![
        trial("redis", || Box::pin(redis())),
        trial("postgres", || Box::pin(postgres())),
        trial("mysql", || Box::pin(mysql())),
        trial("mongo", || Box::pin(mongo())),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
