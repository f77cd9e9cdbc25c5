use std::{convert::Infallible, sync::Arc};

use axum_core::{
    body::Body,
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::{StatusCode, request::Parts};

use crate::{
    Session, SessionError,
    failure::{EmptyResponse, Failed, FailureResponse},
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

/// For handlers that also serve routes without a layer. `None` means that there is no layer, never
/// that a visitor has no session yet.
impl<S: Sync> OptionalFromRequestParts<S> for Session {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(Self::of(parts))
    }
}

impl IntoResponse for SessionError {
    fn into_response(self) -> Response {
        let error = self.into_inner();
        let response = FailureResponse::<Body>::respond(&EmptyResponse, &error);
        let mut response: Response = response.map(Body::new);
        if response.status().is_server_error() {
            tracing::warn!(%error, "a request failed because of its session");
        }
        response.extensions_mut().insert(Failed(Arc::new(error)));
        response
    }
}
