use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use maud::html;
use session_manager::SessionError;

use super::layout::{Place, page};

/// The page that a visitor sees when the session cannot be loaded or saved.
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
            // The visitor has signed out in another tab meanwhile.
            return Redirect::to("/?ended").into_response();
        }
        let (status, what) = if self.0.is_transient() {
            (StatusCode::SERVICE_UNAVAILABLE, "The sessions cannot be reached just now. Nothing was lost.")
        } else {
            (StatusCode::INTERNAL_SERVER_ERROR, "This did not work.")
        };
        // The exact cause is for the operator only: it may name hosts, files and keys.
        crate::complain(&self.0);
        let body = html! {
            h1 { "Please try again" }
            p { (what) }
        };
        let mut response = (status, page(Place::SignIn, "Please try again", None, &body)).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("5"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use session_core::{Error, Operation};

    use super::*;

    #[tokio::test]
    async fn what_the_store_says_is_not_shown() {
        let error = Error::unavailable(Operation::Read, false).because("10.1.2.3:6379 refuses");
        let response = Failure::from(error).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let page = to_bytes(response.into_body(), 100_000).await.expect("a page");
        let page = String::from_utf8(page.to_vec()).expect("text");
        assert!(page.contains("cannot be reached") && !page.contains("10.1.2.3"), "{page}");
    }
}
