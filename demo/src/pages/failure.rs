use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use maud::html;
use session_manager::SessionError;

use super::layout::{Place, page};

/// What a visitor is shown when the session cannot be had or kept.
pub(crate) struct Failure(SessionError);

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        Self(error)
    }
}

impl From<session_core::Error> for Failure {
    fn from(error: session_core::Error) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        if self.0.is_gone() {
            // Signed out in another tab, meanwhile.
            return Redirect::to("/?ended").into_response();
        }
        let (status, what) = if self.0.is_transient() {
            (StatusCode::SERVICE_UNAVAILABLE, "The sessions cannot be reached just now. Nothing was lost.")
        } else {
            (StatusCode::INTERNAL_SERVER_ERROR, "This did not work.")
        };
        let body = html! {
            h1 { "Please try again" }
            p { (what) }
            p.error { (self.0.to_string()) }
        };
        let mut response = (status, page(Place::SignIn, "Please try again", None, &body)).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("5"));
        }
        response
    }
}
