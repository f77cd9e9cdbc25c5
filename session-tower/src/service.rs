use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use crate::{
    ResponseBody, ResponseFuture,
    failure::{EmptyResponse, FailureResponse},
    layer::Policy,
    request_session::Scope,
};

/// A service whose requests have a session, created by [`SessionLayer`](crate::SessionLayer).
#[derive(Clone)]
pub struct SessionService<S, R = EmptyResponse> {
    inner: S,
    policy: Arc<Policy>,
    on_failure: R,
}

impl<S, R> SessionService<S, R> {
    pub(crate) fn new(inner: S, policy: Arc<Policy>, on_failure: R) -> Self {
        Self { inner, policy, on_failure }
    }
}

impl<S: fmt::Debug, R> fmt::Debug for SessionService<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for SessionService<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    R: FailureResponse<ResBody, Body: 'static>,
    ResBody: Send + 'static,
{
    type Response = Response<ResponseBody<ResBody, R::Body>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R, ResBody>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let slot = Scope::enter(request.extensions_mut(), &self.policy);
        ResponseFuture::new(self.inner.call(request), slot, self.on_failure.clone())
    }
}
