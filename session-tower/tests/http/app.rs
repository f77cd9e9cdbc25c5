use std::{panic::resume_unwind, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Path, State},
    http::{StatusCode, header::CACHE_CONTROL},
    response::IntoResponse,
    routing::get,
};
use session_core::Owner;
use session_tower::{CookieLifetime, Session, SessionError, SessionLayer};
use tokio::sync::Notify;

use crate::store::Tap;

/// Reports that a slow request has reached the gate, and lets it continue.
#[derive(Default)]
pub(crate) struct Gate {
    pub(crate) reached: Notify,
    pub(crate) open: Notify,
}

/// The routes of all cases, without a layer.
pub(crate) fn routes(gate: &Arc<Gate>) -> Router {
    Router::new()
        .route("/untouched", get(async || "hello"))
        .route("/taken", get(async |_session: Session| "hello"))
        .route("/read/{key}", get(read))
        .route("/set/{key}", get(set))
        .route("/count", get(count))
        .route("/login/{owner}", get(login))
        .route("/login-and-fail/{owner}", get(login_and_fail))
        .route("/remember/{owner}", get(remember))
        .route("/logout", get(logout))
        .route("/set-and-fail", get(set_and_fail))
        .route("/set-and-panic", get(set_and_panic))
        .route("/set-slowly/{key}", get(set_slowly))
        .route("/count-slowly", get(count_slowly))
        .route("/cached/{how}", get(cached))
        .route("/read-cached/{how}", get(read_cached))
        .route("/rotate", get(async |session: Session| session.rotate().await.map_err(SessionError::from)))
        .route("/remember-for/{seconds}", get(remember_for))
        .with_state(Arc::clone(gate))
}

pub(crate) fn app(tap: &Arc<Tap>) -> Router {
    app_with_gate(tap, &Arc::default())
}

pub(crate) fn app_with_gate(tap: &Arc<Tap>, gate: &Arc<Gate>) -> Router {
    routes(gate).layer(SessionLayer::new(Arc::clone(tap)))
}

async fn read(session: Session, Path(key): Path<String>) -> Result<String, SessionError> {
    Ok(session.get::<String>(&key).await?.unwrap_or_else(|| "nothing".to_owned()))
}

async fn set(session: Session, Path(key): Path<String>) -> Result<&'static str, SessionError> {
    session.insert(&key, "set")?;
    Ok("done")
}

async fn count(session: Session) -> Result<String, SessionError> {
    Ok(session.update("count", |n: Option<u64>| n.unwrap_or(0) + 1).await?.to_string())
}

async fn login(session: Session, Path(owner): Path<String>) -> Result<&'static str, SessionError> {
    session.login(Owner::new(owner).expect("an owner")).await?;
    Ok("welcome")
}

async fn login_and_fail(session: Session, owner: Path<String>) -> Result<StatusCode, SessionError> {
    login(session, owner).await?;
    Ok(StatusCode::INTERNAL_SERVER_ERROR)
}

async fn remember(session: Session, owner: Path<String>) -> Result<&'static str, SessionError> {
    session.set_cookie_lifetime(CookieLifetime::Persistent(Duration::from_hours(24)));
    login(session, owner).await
}

async fn logout(session: Session) -> Result<&'static str, SessionError> {
    session.logout().await?;
    Ok("bye")
}

async fn set_and_fail(session: Session) -> Result<StatusCode, SessionError> {
    session.insert("failed", "half done")?;
    Ok(StatusCode::BAD_GATEWAY)
}

async fn set_and_panic(session: Session) -> Result<&'static str, SessionError> {
    session.insert("panicked", "half done")?;
    // Like `panic!`, but prints nothing to the output of the tests.
    resume_unwind(Box::new("on purpose"))
}

async fn set_slowly(
    session: Session,
    State(gate): State<Arc<Gate>>,
    Path(key): Path<String>,
) -> Result<&'static str, SessionError> {
    session.load().await?;
    session.insert(&key, "late")?;
    gate.reached.notify_one();
    gate.open.notified().await;
    Ok("done")
}

/// Has its own response for a session that has ended.
async fn count_slowly(session: Session, State(gate): State<Arc<Gate>>) -> Result<&'static str, SessionError> {
    session.load().await?;
    gate.reached.notify_one();
    gate.open.notified().await;
    match session.update("count", |n: Option<u64>| n.unwrap_or(0) + 1).await {
        Err(error) if error.is_gone() => Ok("sign in again"),
        other => Ok(other.map(|_| "counted")?),
    }
}

async fn cached(session: Session, Path(how): Path<String>) -> Result<impl IntoResponse, SessionError> {
    session.insert("any", "thing")?;
    Ok(([(CACHE_CONTROL, how)], "text"))
}

/// A page with a value of the session and its own `Cache-Control`.
async fn read_cached(session: Session, Path(how): Path<String>) -> Result<impl IntoResponse, SessionError> {
    let theme = session.get::<String>("theme").await?.unwrap_or_default();
    Ok(([(CACHE_CONTROL, how)], theme))
}

async fn remember_for(session: Session, Path(seconds): Path<u64>) -> Result<&'static str, SessionError> {
    session.set_cookie_lifetime(CookieLifetime::Persistent(Duration::from_secs(seconds)));
    login(session, Path("alice".to_owned())).await
}
