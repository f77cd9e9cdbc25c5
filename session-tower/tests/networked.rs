//! A server that no longer answers, and a network that drops its replies: what a client receives,
//! and when.

use std::{
    future::Future,
    process::ExitCode,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{
        Request, StatusCode,
        header::{COOKIE, RETRY_AFTER, SET_COOKIE},
    },
    response::Response,
    routing::get,
};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use session_redis::RedisStore;
use session_servers::{Proxy, redis::RedisServer, required};
use session_tower::{Session, SessionError, SessionLayer};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

const DEADLINE: Duration = Duration::from_secs(1);

/// The time limit for service to resume.
const RECOVERY: Duration = Duration::from_secs(2);

struct Setting {
    server: RedisServer,
    proxy: Proxy,
    app: Router,
}

async fn count(session: Session) -> Result<String, SessionError> {
    Ok(session.update("count", |n: Option<u64>| n.unwrap_or(0) + 1).await?.to_string())
}

async fn look(session: Session) -> Result<String, SessionError> {
    Ok(format!("{:?}", session.get::<u64>("count").await?))
}

async fn set(session: Session) -> Result<(), SessionError> {
    Ok(session.insert("key", "value")?)
}

impl Setting {
    async fn redis() -> Result<Self, String> {
        let server = RedisServer::start().await.map_err(|error| error.to_string())?;
        let proxy = Proxy::start(server.addr()).await.map_err(|error| error.to_string())?;
        let url = format!("redis://{}", proxy.addr());
        let store = RedisStore::builder().deadline(DEADLINE).connect(&url).await;
        let app = Router::new()
            .route("/count", get(count))
            .route("/look", get(look))
            .route("/set", get(set))
            .route("/untouched", get(async || "hello"))
            .layer(SessionLayer::new(store.map_err(|error| error.to_string())?));
        Ok(Self { server, proxy, app })
    }

    async fn ask(&self, path: &str, cookie: Option<&str>) -> Response {
        let mut request = Request::get(path);
        if let Some(cookie) = cookie {
            request = request.header(COOKIE, cookie);
        }
        self.app
            .clone()
            .oneshot(request.body(Body::empty()).expect("a request"))
            .await
            .expect("it cannot fail")
    }

    /// Creates a session whose count is one, and returns its cookie.
    async fn signed_in(&self) -> String {
        let first = self.ask("/count", None).await;
        assert_eq!(first.status(), StatusCode::OK);
        let cookie = first.headers()[SET_COOKIE].to_str().expect("text");
        cookie.split(';').next().expect("a pair").to_owned()
    }

    async fn unavailable(&self, path: &str, cookie: Option<&str>) {
        let begun = Instant::now();
        let response = self.ask(path, cookie).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(response.headers().contains_key(RETRY_AFTER), "{path}");
        assert!(!response.headers().contains_key(SET_COOKIE), "{path}: nothing is known to be stored");
        // The load and the save each have the deadline.
        assert!(begun.elapsed() < 2 * DEADLINE + Duration::from_millis(500), "{path}: {:?}", begun.elapsed());
    }

    /// Sends requests until one succeeds.
    async fn back(&self, path: &str, cookie: &str) -> String {
        let begun = Instant::now();
        loop {
            let response = self.ask(path, Some(cookie)).await;
            if response.status() == StatusCode::OK {
                let body = to_bytes(response.into_body(), 100).await.expect("a body");
                return String::from_utf8(body.to_vec()).expect("text");
            }
            assert!(begun.elapsed() < RECOVERY, "{path}: {}", response.status());
        }
    }
}

async fn a_frozen_server_is_a_503_in_time(setting: Setting) {
    let cookie = setting.signed_in().await;
    setting.server.freeze().await.expect("frozen");
    for (path, cookie) in [("/look", Some(&*cookie)), ("/count", Some(&*cookie)), ("/set", None)] {
        setting.unavailable(path, cookie).await;
    }
    assert_eq!(setting.ask("/untouched", Some(&cookie)).await.status(), StatusCode::OK);
    setting.server.thaw().expect("thawed");
    assert_eq!(setting.back("/look", &cookie).await, "Some(1)", "what failed was not done");
}

async fn a_killed_server_is_a_503(setting: Setting) {
    let cookie = setting.signed_in().await;
    setting.server.kill().await.expect("killed");
    for (path, cookie) in [("/look", Some(&*cookie)), ("/set", None)] {
        setting.unavailable(path, cookie).await;
    }
    assert_eq!(setting.ask("/untouched", Some(&cookie)).await.status(), StatusCode::OK);
    setting.server.restart().await.expect("restarted");
    // The server has no persistence, so the session is gone. This is known only now.
    assert_eq!(setting.back("/look", &cookie).await, "None");
}

/// The change is carried out, but the reply is lost. The request fails, and no layer repeats it.
async fn swallowed_replies_are_a_503(setting: Setting) {
    let cookie = setting.signed_in().await;
    setting.proxy.swallow_replies(true);
    for (path, cookie) in [("/look", Some(&*cookie)), ("/count", Some(&*cookie)), ("/set", None)] {
        setting.unavailable(path, cookie).await;
    }
    setting.proxy.swallow_replies(false);
    assert_eq!(setting.back("/look", &cookie).await, "Some(1)", "it could not even be read");
}

fn trial<F>(name: &'static str, case: fn(Setting) -> F) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    Trial::ignorable_test(format!("redis::{name}"), move || {
        Runtime::new()?.block_on(async {
            match Setting::redis().await {
                Ok(setting) => case(setting).await,
                Err(reason) if required("redis") => return Err(Failed::from(reason)),
                Err(reason) => return Ok(Completion::ignored_with(reason)),
            }
            Ok(Completion::Completed)
        })
    })
}

fn main() -> ExitCode {
    let trials = vec![
        trial("a_frozen_server_is_a_503_in_time", a_frozen_server_is_a_503_in_time),
        trial("a_killed_server_is_a_503", a_killed_server_is_a_503),
        trial("swallowed_replies_are_a_503", swallowed_replies_are_a_503),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
