use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use session_core::SessionStore;
use session_manager::{Metered, SessionManager};
use session_tower::SessionLayer;

use crate::{
    meters::Meters,
    pages::{devices, notes, operators, sign_in},
};

/// What all pages need.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) manager: SessionManager,
    pub(crate) store: Arc<Metered<Arc<dyn SessionStore>>>,
    pub(crate) meters: Meters,
    /// Where the sessions are, as it may be shown.
    pub(crate) place: Arc<str>,
}

impl App {
    pub(crate) fn new(
        manager: SessionManager,
        store: Arc<Metered<Arc<dyn SessionStore>>>,
        meters: Meters,
        place: String,
    ) -> Self {
        Self { manager, store, meters, place: place.into() }
    }

    pub(crate) fn router(self) -> Router {
        // Plain HTTP on this machine: without this, browsers would not send the cookie back.
        let sessions = SessionLayer::from_manager(self.manager.clone()).insecure_for_development();
        Router::new()
            .route("/", get(sign_in::page))
            .route("/sign-in", post(sign_in::sign_in))
            .route("/sign-out", post(sign_in::sign_out))
            .route("/notes", get(notes::page).post(notes::add))
            .route("/notes/slowly", post(notes::add_slowly))
            .route("/notes/remove", post(notes::remove))
            .route("/cart", post(notes::change_cart))
            .route("/devices", get(devices::page))
            .route("/devices/sign-out", post(devices::sign_out))
            .route("/devices/sign-out-others", post(devices::sign_out_others))
            .route("/devices/sign-out-everywhere", post(devices::sign_out_everywhere))
            .route("/operators", get(operators::page))
            .route("/operators/end", post(operators::end))
            .route("/style.css", get(style))
            .route("/health", get(health))
            .layer(sessions)
            .with_state(self)
    }
}

async fn style() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "text/css"), (header::CACHE_CONTROL, "public, max-age=60")];
    (headers, include_str!("style.css"))
}

/// Whether the store answers: for whatever restarts servers.
async fn health(State(app): State<App>) -> Response {
    match app.store.ping().await {
        Ok(()) => "the store answers\n".into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}
