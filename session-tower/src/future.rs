use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::future::BoxFuture;
use http::{Response, header::SET_COOKIE};
use pin_project_lite::pin_project;
use session_manager::{CookieChange, Session, SessionError};

use crate::{
    ResponseBody, caching,
    failure::{Failed, FailureResponse},
    lifetime,
    request_session::{RequestSession, Serving},
};

type Passed<B, R> = Response<ResponseBody<B, <R as FailureResponse<B>>::Body>>;

pin_project! {
    /// The future of a response: runs the handler, then saves the session if the handler has used
    /// it.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct ResponseFuture<F, R, B>
    where
        R: FailureResponse<B>,
    {
        #[pin]
        handler: F,
        // `None` if a layer further out saves the session.
        serving: Option<Serving>,
        on_failure: R,
        // `None` until the handler is done, and if there is nothing to save.
        finishing: Option<BoxFuture<'static, Passed<B, R>>>,
    }
}

impl<F, R: FailureResponse<B>, B> ResponseFuture<F, R, B> {
    pub(crate) fn new(handler: F, slot: Option<Arc<RequestSession>>, on_failure: R) -> Self {
        Self { handler, serving: slot.map(Serving), on_failure, finishing: None }
    }
}

impl<F, R: FailureResponse<B>, B> std::fmt::Debug for ResponseFuture<F, R, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").field("saving", &self.finishing.is_some()).finish_non_exhaustive()
    }
}

impl<F, R, B, E> Future for ResponseFuture<F, R, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    R: FailureResponse<B, Body: 'static>,
    B: Send + 'static,
{
    type Output = Result<Passed<B, R>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.finishing.is_none() {
            let mut response = ready!(this.handler.poll(context))?;
            let Some(Serving(slot)) = this.serving else { return Poll::Ready(Ok(pass(response))) };
            let Some(session) = slot.asked_for() else { return Poll::Ready(Ok(pass(response))) };
            if let Some(Failed(error)) = response.extensions_mut().remove::<Failed>() {
                let response = fail(this.on_failure, &error);
                return Poll::Ready(Ok(conclude(response, session, slot, false)));
            }
            let failed = response.status().is_server_error() && !slot.policy.save_after_server_error;
            if failed || !(session.needs_save() || lifetime::is_to_be_kept(session, slot)) {
                return Poll::Ready(Ok(conclude(pass(response), session, slot, false)));
            }
            let finish = finish(response, session.clone(), Arc::clone(slot), this.on_failure.clone());
            *this.finishing = Some(Box::pin(finish));
        }
        match this.finishing {
            Some(finishing) => finishing.as_mut().poll(context).map(Ok),
            None => Poll::Pending,
        }
    }
}

/// The handler's response.
fn pass<B, F>(response: Response<B>) -> Response<ResponseBody<B, F>> {
    response.map(ResponseBody::of_handler)
}

/// The failure response.
fn fail<B, R: FailureResponse<B>>(on_failure: &R, error: &SessionError) -> Passed<B, R> {
    on_failure.respond(error).map(ResponseBody::of_failure)
}

/// Saves the session. If that fails, replaces the response by the failure response.
async fn finish<B, R: FailureResponse<B>>(
    response: Response<B>,
    session: Session,
    slot: Arc<RequestSession>,
    on_failure: R,
) -> Passed<B, R> {
    if let Err(error) = session.save().await
        && !lost_nothing(&error)
    {
        tell(&error);
        return conclude(fail(&on_failure, &error), &session, &slot, false);
    }
    let is_renewed = lifetime::keep(&session, &slot).await;
    conclude(pass(response), &session, &slot, is_renewed)
}

/// Sets the cookie and the caching headers. Also called after a failure: commits of the handler
/// itself, such as a login, are in effect.
fn conclude<B>(
    mut response: Response<B>,
    session: &Session,
    slot: &RequestSession,
    is_renewed: bool,
) -> Response<B> {
    slot.close();
    let headers = response.headers_mut();
    let cookie = &slot.policy.cookie;
    let set = |id| cookie.set(&id, lifetime::of(session, slot));
    let change = match session.cookie_change() {
        CookieChange::Keep if is_renewed => session.id().and_then(set),
        CookieChange::Keep => None,
        CookieChange::Set(id) => set(id),
        CookieChange::Remove => cookie.remove(),
    };
    let sets_cookie = change.is_some();
    if let Some(change) = change {
        headers.append(SET_COOKIE, change);
        for twin in slot.twins() {
            headers.append(SET_COOKIE, twin.clone());
        }
    }
    caching::shield(headers, session, sets_cookie);
    response
}

/// Whether the session has ended, and there was nothing to save. The response is still valid then.
fn lost_nothing(error: &SessionError) -> bool {
    matches!(error, SessionError::Gone { unsaved } if unsaved.is_empty())
}

fn tell(error: &SessionError) {
    if error.is_gone() {
        tracing::debug!(%error, "a session has ended before it was saved");
    } else {
        tracing::warn!(%error, "a session could not be saved");
    }
}
