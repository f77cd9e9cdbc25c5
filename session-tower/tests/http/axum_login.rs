use std::{convert::Infallible, sync::Arc};

use axum::{Router, http::StatusCode, routing::get};
use axum_login::{
    AuthManagerLayerBuilder, AuthSession, AuthUser, AuthnBackend, login_required,
    tower_sessions::{Session, SessionManagerLayer},
};
use session_tower::TowerSessionsStore;
use tokio::sync::Notify;

use crate::{
    cases,
    client::{self, Browser},
    store::Tap,
};

cases!("axum_login": login_and_logout_work, a_login_takes_a_new_id, a_slow_request_does_not_undo_a_logout, an_outage_logs_nobody_in);

#[derive(Clone, Debug)]
struct User;

impl AuthUser for User {
    type Id = u32;

    fn id(&self) -> u32 {
        7
    }

    fn session_auth_hash(&self) -> &[u8] {
        b"her password's"
    }
}

/// A backend with one user.
#[derive(Clone, Debug)]
struct Users;

impl AuthnBackend for Users {
    type User = User;
    type Credentials = String;
    type Error = Infallible;

    async fn authenticate(&self, password: String) -> Result<Option<User>, Infallible> {
        Ok((password == "right").then_some(User))
    }

    async fn get_user(&self, id: &u32) -> Result<Option<User>, Infallible> {
        Ok((*id == 7).then_some(User))
    }
}

async fn login(mut auth: AuthSession<Users>, password: &str) -> StatusCode {
    match auth.authenticate(password.to_owned()).await.expect("an answer") {
        Some(user) => match auth.login(&user).await {
            Ok(()) => StatusCode::OK,
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
        },
        None => StatusCode::UNAUTHORIZED,
    }
}

/// An application as in the documentation of `axum-login`.
fn app(tap: &Arc<Tap>, gate: &Arc<[Notify; 2]>) -> Router {
    let gate = Arc::clone(gate);
    let slowly = async move |session: Session| {
        session.insert("late", 1).await.expect("it loads");
        gate[0].notify_one();
        gate[1].notified().await;
    };
    let sessions = SessionManagerLayer::new(TowerSessionsStore::new(Arc::clone(tap)));
    Router::new()
        .route("/private", get(async || "only for her"))
        .route("/slowly", get(slowly))
        .route_layer(login_required!(Users))
        .route(
            "/visit",
            get(async |session: Session| session.insert("visited", true).await.expect("it loads")),
        )
        .route("/login", get(async |auth: AuthSession<Users>| login(auth, "right").await))
        .route("/wrong", get(async |auth: AuthSession<Users>| login(auth, "wrong").await))
        .route(
            "/logout",
            get(async |mut auth: AuthSession<Users>| auth.logout().await.map(|_| ()).expect("it is deleted")),
        )
        .layer(AuthManagerLayerBuilder::new(Users, sessions).build())
}

async fn login_and_logout_work(tap: Arc<Tap>) {
    let app = app(&tap, &Arc::default());
    let mut browser = Browser::default();
    assert_eq!(browser.get(&app, "/private").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.get(&app, "/wrong").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.get(&app, "/private").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.get(&app, "/login").await.status, StatusCode::OK);
    assert_eq!(browser.get(&app, "/private").await.text, "only for her");
    let while_in = browser.cookie_header();
    browser.get(&app, "/logout").await;
    assert_eq!(browser.get(&app, "/private").await.status, StatusCode::UNAUTHORIZED);
    let again = client::get(&app, "/private", while_in.as_deref().map(str::as_bytes)).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED, "the cookie that was kept is worth nothing");
    assert_eq!(tap.count().await, 0);
}

async fn a_login_takes_a_new_id(tap: Arc<Tap>) {
    let app = app(&tap, &Arc::default());
    let mut browser = Browser::default();
    browser.get(&app, "/visit").await;
    let before = browser.cookie_header();
    assert!(before.is_some());
    browser.get(&app, "/login").await;
    assert_ne!(browser.cookie_header(), before);
    let old = client::get(&app, "/private", before.as_deref().map(str::as_bytes)).await;
    assert_eq!(old.status, StatusCode::UNAUTHORIZED, "the id from before was never logged in");
}

async fn a_slow_request_does_not_undo_a_logout(tap: Arc<Tap>) {
    let gate = Arc::<[Notify; 2]>::default();
    let app = app(&tap, &gate);
    let mut browser = Browser::default();
    browser.get(&app, "/login").await;
    let cookie = browser.cookie_header();
    let slow = tokio::spawn({
        let (app, cookie) = (app.clone(), cookie.clone());
        async move { client::get(&app, "/slowly", cookie.as_deref().map(str::as_bytes)).await }
    });
    gate[0].notified().await;
    browser.get(&app, "/logout").await;
    gate[1].notify_one();
    assert_eq!(slow.await.expect("no panic").status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(tap.count().await, 0, "nothing is alive again");
    let late = client::get(&app, "/private", cookie.as_deref().map(str::as_bytes)).await;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED);
}

async fn an_outage_logs_nobody_in(tap: Arc<Tap>) {
    let app = app(&tap, &Arc::default());
    let mut browser = Browser::default();
    browser.get(&app, "/login").await;
    tap.refuse_reads(true);
    assert_eq!(browser.clone().get(&app, "/private").await.status, StatusCode::INTERNAL_SERVER_ERROR);
    tap.refuse_reads(false);
    assert_eq!(browser.get(&app, "/private").await.text, "only for her", "and nobody out");
}
