use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::future::BoxFuture;
use http::{
    HeaderMap, HeaderValue, Response,
    header::{CACHE_CONTROL, SET_COOKIE, VARY},
};
use pin_project_lite::pin_project;
use session_manager::{CookieChange, Session, SessionError};

use crate::{
    failure::{Failed, FailureResponse},
    slot::Slot,
};

pin_project! {
    /// A response on its way: first the handler's, then, if the handler has used the session, with the session saved.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct ResponseFuture<F, R, B> {
        #[pin]
        handler: F,
        slot: Arc<Slot>,
        on_failure: R,
        // Not there until the handler is done, nor if it has not asked for the session.
        finishing: Option<BoxFuture<'static, Response<B>>>,
    }
}

impl<F, R, B> ResponseFuture<F, R, B> {
    pub(crate) fn new(handler: F, slot: Arc<Slot>, on_failure: R) -> Self {
        Self { handler, slot, on_failure, finishing: None }
    }
}

impl<F, R, B> std::fmt::Debug for ResponseFuture<F, R, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").field("saving", &self.finishing.is_some()).finish_non_exhaustive()
    }
}

impl<F, R, B, E> Future for ResponseFuture<F, R, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    R: FailureResponse<B>,
    B: Send + 'static,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.finishing.is_none() {
            let response = ready!(this.handler.poll(context))?;
            let Some(session) = this.slot.asked_for() else { return Poll::Ready(Ok(response)) };
            let finished = finish(response, session.clone(), Arc::clone(this.slot), this.on_failure.clone());
            *this.finishing = Some(Box::pin(finished));
        }
        match this.finishing {
            Some(finishing) => finishing.as_mut().poll(context).map(Ok),
            None => Poll::Pending,
        }
    }
}

/// Saves the session, and tells the client what it has to know.
async fn finish<B, R: FailureResponse<B>>(
    mut response: Response<B>,
    session: Session,
    slot: Arc<Slot>,
    on_failure: R,
) -> Response<B> {
    let failed = response.extensions_mut().remove::<Failed>();
    if let Some(Failed(error)) = failed {
        response = on_failure.respond(&error);
    } else if (slot.policy.save_after_server_error || !response.status().is_server_error())
        && let Err(error) = session.save().await
        && !lost_nothing(&error)
    {
        tell(&error);
        response = on_failure.respond(&error);
    }
    let headers = response.headers_mut();
    vary(headers);
    // Also after a failure: what the handler itself has committed, such as a login, is so.
    let cookie = &slot.policy.cookie;
    let change = match session.cookie_change() {
        CookieChange::Keep => None,
        CookieChange::Set(id) => cookie.set(&id, *slot.lifetime.lock()),
        CookieChange::Remove => cookie.remove(),
    };
    if let Some(change) = change {
        headers.append(SET_COOKIE, change);
        keep_out_of_caches(headers);
    }
    response
}

/// Whether the session has ended, and there was nothing to save: then the response is as true as it was.
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

/// What a response says may depend on the session.
fn vary(headers: &mut HeaderMap) {
    let names = |value: &HeaderValue| {
        let names = value.to_str().unwrap_or_default().split(',');
        names.map(|name| name.trim().to_ascii_lowercase()).any(|name| name == "cookie" || name == "*")
    };
    if !headers.get_all(VARY).iter().any(names) {
        headers.append(VARY, HeaderValue::from_static("cookie"));
    }
}

/// A cache that kept this response would give one visitor's session to the next.
fn keep_out_of_caches(headers: &mut HeaderMap) {
    let private = |value: &HeaderValue| {
        let directives = value.to_str().unwrap_or_default().split(',');
        directives
            .map(|directive| directive.trim().to_ascii_lowercase())
            .any(|directive| directive == "private" || directive == "no-store")
    };
    if !headers.get_all(CACHE_CONTROL).iter().any(private) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}
