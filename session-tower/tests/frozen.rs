//! A database that no longer answers: what a client receives, and when.

use std::time::{Duration, Instant};

use axum::{
    Router,
    body::Body,
    http::{
        Request, StatusCode,
        header::{COOKIE, RETRY_AFTER, SET_COOKIE},
    },
    response::Response,
    routing::get,
};
use session_sql::SqliteStore;
use session_tower::{Session, SessionError, SessionLayer};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tower::ServiceExt as _;

const DEADLINE: Duration = Duration::from_millis(800);

async fn count(session: Session) -> Result<String, SessionError> {
    Ok(session.update("count", |n: Option<u64>| n.unwrap_or(0) + 1).await?.to_string())
}

async fn ask(app: &Router, path: &str, cookie: Option<&str>) -> Response {
    let mut request = Request::get(path);
    if let Some(cookie) = cookie {
        request = request.header(COOKIE, cookie);
    }
    app.clone().oneshot(request.body(Body::empty()).expect("a request")).await.expect("it cannot fail")
}

/// Another process keeps the database locked for writing, as if it was stopped during a
/// transaction.
#[tokio::test]
async fn a_locked_database_is_a_503_in_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("app.db");
    let store = SqliteStore::builder().deadline(DEADLINE).open(&file).await.expect("a store");
    let app: Router = Router::new()
        .route("/count", get(count))
        .route(
            "/set",
            get(async |session: Session| session.insert("key", "value").map_err(SessionError::from)),
        )
        .route("/untouched", get(async || "hello"))
        .layer(SessionLayer::new(store));
    let first = ask(&app, "/count", None).await;
    let cookie = first.headers()[SET_COOKIE].to_str().expect("text");
    let cookie = cookie.split(';').next().expect("a pair").to_owned();

    let options = SqliteConnectOptions::new().filename(&file);
    let mut other = SqliteConnection::connect_with(&options).await.expect("a connection");
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.expect("the lock");
    for (path, cookie) in [("/count", Some(&*cookie)), ("/set", Some(&*cookie)), ("/set", None)] {
        let begun = Instant::now();
        let response = ask(&app, path, cookie).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(response.headers().contains_key(RETRY_AFTER));
        assert!(!response.headers().contains_key(SET_COOKIE), "nothing was stored");
        assert!(begun.elapsed() < 3 * DEADLINE + Duration::from_secs(2), "{path}: {:?}", begun.elapsed());
    }
    assert_eq!(ask(&app, "/untouched", Some(&cookie)).await.status(), StatusCode::OK);
    sqlx::raw_sql("COMMIT").execute(&mut other).await.expect("released");
    let response = ask(&app, "/count", Some(&cookie)).await;
    let body = axum::body::to_bytes(response.into_body(), 100).await.expect("a body");
    assert_eq!(&body[..], b"2", "nothing was lost, and nothing counted that was told to have failed");
}
