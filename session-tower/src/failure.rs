use std::{fmt, sync::Arc};

use http::{HeaderValue, Response, StatusCode, header::RETRY_AFTER};
use http_body::Body;
use http_body_util::Empty;
use session_manager::SessionError;

/// The `Retry-After` of a 503, in seconds. Stores resume within two seconds after their servers do.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("2");

/// The status code for this error.
fn status(error: &SessionError) -> StatusCode {
    match error {
        // The session has ended, so its changes cannot be stored any more.
        SessionError::Gone { .. } | SessionError::SameKey { .. } => StatusCode::CONFLICT,
        SessionError::TooManySessions { .. } => StatusCode::TOO_MANY_REQUESTS,
        error if error.is_transient() => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Creates the response to a request whose session could not be loaded or saved, for a service
/// whose responses have bodies of type `B`.
pub trait FailureResponse<B>: Clone + Send + 'static {
    /// The body of the response. Its data type is that of `B`.
    type Body;

    /// The response for this error.
    fn respond(&self, error: &SessionError) -> Response<Self::Body>;
}

/// The default of a [`SessionLayer`](crate::SessionLayer): a status, with `Retry-After` if it is
/// 503.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmptyResponse;

/// A response that the application creates: see
/// [`SessionLayer::on_failure`](crate::SessionLayer::on_failure).
#[derive(Clone)]
pub struct CustomResponse<F>(pub(crate) F);

impl<F> fmt::Debug for CustomResponse<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomResponse")
    }
}

impl<B: Body> FailureResponse<B> for EmptyResponse {
    type Body = Empty<B::Data>;

    fn respond(&self, error: &SessionError) -> Response<Self::Body> {
        let mut response = Response::new(Empty::new());
        *response.status_mut() = status(error);
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        response
    }
}

impl<B, C, F> FailureResponse<B> for CustomResponse<F>
where
    F: Fn(&SessionError) -> Response<C> + Clone + Send + 'static,
{
    type Body = C;

    fn respond(&self, error: &SessionError) -> Response<C> {
        (self.0)(error)
    }
}

/// Carries a handler's error to the layer, which may have its own response for it.
#[derive(Clone)]
pub(crate) struct Failed(pub(crate) Arc<SessionError>);
