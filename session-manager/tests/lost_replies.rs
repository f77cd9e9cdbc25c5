//! Counters over a network that swallows replies: no update counts twice, and none that was told to have succeeded is missing.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use session_core::SessionStore;
use session_manager::{SessionError, SessionManager};
use session_redis::RedisStore;
use session_servers::{Proxy, redis::RedisServer, required};
use tokio::{runtime::Runtime, time::sleep};

const DEADLINE: Duration = Duration::from_secs(1);

/// Through a proxy, before the store is told of it.
async fn redis() -> Result<(RedisServer, Proxy, RedisStore), String> {
    let server = RedisServer::start().await.map_err(|error| error.to_string())?;
    let proxy = Proxy::start(server.addr()).await.map_err(|error| error.to_string())?;
    let url = format!("redis://{}", proxy.addr());
    let store =
        RedisStore::builder().deadline(DEADLINE).connect(&url).await.map_err(|error| error.to_string())?;
    Ok((server, proxy, store))
}

async fn counters_stay_exact(store: impl SessionStore + Clone + 'static, proxy: &Proxy) {
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

fn main() -> ExitCode {
    let redis = Trial::ignorable_test("redis::counters_stay_exact", || {
        Runtime::new()?.block_on(async {
            let (_server, proxy, store) = match redis().await {
                Ok(opened) => opened,
                Err(reason) if required("redis") => return Err(Failed::from(reason)),
                Err(reason) => return Ok(Completion::ignored_with(reason)),
            };
            counters_stay_exact(store, &proxy).await;
            Ok(Completion::Completed)
        })
    });
    libtest_mimic::run(&Arguments::from_args(), vec![redis]).exit_code()
}
