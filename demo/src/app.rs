use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, header},
    middleware::{from_fn_with_state, map_response},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use session_core::{SessionId, SessionStore};
use session_layers::Metered;
use session_manager::SessionManager;
use session_tower::{CookieSettings, SessionCookie as _, SessionLayer};

use crate::{
    headers,
    hosts::{self, Hosts},
    meters::Meters,
    newcomers::Newcomers,
    pages::{
        devices, notes,
        operator::{self, OperatorCookie},
        operators, sign_in,
    },
};

/// How long a visitor stays signed in.
pub(crate) const IDLE: Duration = Duration::from_hours(24);
pub(crate) const ABSOLUTE: Duration = Duration::from_hours(30 * 24);

/// The maximum size of a request's body: larger than any form here.
const LARGEST_FORM: usize = 8 * 1024;

/// The state that all pages share.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) manager: SessionManager,
    pub(crate) store: Arc<Metered<Arc<dyn SessionStore>>>,
    pub(crate) meters: Meters,
    pub(crate) newcomers: Newcomers,
    /// The secret that opens the operators' page.
    pub(crate) operators_secret: Arc<SessionId>,
    /// The kind of store.
    pub(crate) engine: &'static str,
    /// The place of the store, in a form that may be shown to operators.
    pub(crate) place: Arc<str>,
}

impl App {
    pub(crate) fn router(self, hosts: Hosts) -> Router {
        let visitors = SessionLayer::from_manager(self.manager.clone());
        let operators = SessionLayer::from_manager(self.manager.clone())
            .with_cookie(CookieSettings::new(OperatorCookie::NAME))
            .expect("it has the prefix and all that this needs");
        // Plain HTTP on this machine: otherwise browsers would not send the cookies back.
        let [visitors, operators] = [visitors, operators]
            .map(|layer| if hosts.are_public() { layer } else { layer.insecure_for_development() });
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
            .route("/operators/sign-in", post(operator::sign_in))
            .route("/operators/sign-out", post(operator::sign_out))
            .route("/operators/end", post(operators::end))
            .route("/style.css", get(style))
            .route("/health", get(health))
            .layer(visitors)
            .layer(operators)
            .layer(DefaultBodyLimit::max(LARGEST_FORM))
            .layer(from_fn_with_state(hosts, hosts::check))
            .layer(map_response(headers::add))
            .with_state(self)
    }
}

async fn style() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "text/css"), (header::CACHE_CONTROL, "public, max-age=60")];
    (headers, include_str!("style.css"))
}

/// Whether the store answers: for supervisors that restart servers.
async fn health(State(app): State<App>) -> Response {
    match app.store.ping().await {
        Ok(()) => "the store answers\n".into_response(),
        Err(error) => {
            crate::complain(&error);
            (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n").into_response()
        }
    }
}
