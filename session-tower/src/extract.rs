use std::sync::Arc;

use axum_core::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{StatusCode, request::Parts};

use crate::{
    Session, SessionError,
    failure::{EmptyResponse, Failed, FailureResponse as _},
};

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Self::of(parts).ok_or((
            StatusCode::INTERNAL_SERVER_ERROR,
            "there is no SessionLayer around this route: add it with Router::layer, after the route",
        ))
    }
}

impl IntoResponse for SessionError {
    fn into_response(self) -> Response {
        let error = self.into_inner();
        let mut response: Response = EmptyResponse.respond(&error);
        if response.status().is_server_error() {
            tracing::warn!(%error, "a request failed because of its session");
        }
        response.extensions_mut().insert(Failed(Arc::new(error)));
        response
    }
}
