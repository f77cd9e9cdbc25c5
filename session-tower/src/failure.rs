use std::{fmt, sync::Arc};

use http::{HeaderValue, Response, StatusCode, header::RETRY_AFTER};
use http_body::Body;
use http_body_util::Empty;
use session_manager::SessionError;

/// After how many seconds a client may try again. Stores resume within two seconds after their servers do.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("2");

/// The status that tells a client what became of its request.
fn status(error: &SessionError) -> StatusCode {
    match error {
        // Its session has ended; what it wanted to keep there has no place any more.
        SessionError::Gone { .. } | SessionError::SameKey { .. } => StatusCode::CONFLICT,
        SessionError::TooManySessions { .. } => StatusCode::TOO_MANY_REQUESTS,
        error if error.is_transient() => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Makes the response to a request whose session could not be had or saved, around a service whose responses have bodies of type `B`.
pub trait FailureResponse<B>: Clone + Send + 'static {
    /// The body of the response, whose data are those of `B`.
    type Body;

    /// The response for this error.
    fn respond(&self, error: &SessionError) -> Response<Self::Body>;
}

/// A status, and `Retry-After` where it is worth it: what a [`SessionLayer`](crate::SessionLayer) does by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmptyResponse;

/// What the application makes of it: see [`SessionLayer::on_failure`](crate::SessionLayer::on_failure).
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

/// A handler's error on its way to the layer, which may have a response of its own for it.
#[derive(Clone)]
pub(crate) struct Failed(pub(crate) Arc<SessionError>);
