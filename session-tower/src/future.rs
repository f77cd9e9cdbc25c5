use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::future::BoxFuture;
use http::{
    HeaderMap, HeaderValue, Response,
    header::{CACHE_CONTROL, Entry, SET_COOKIE, VARY},
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
            let mut response = ready!(this.handler.poll(context))?;
            let Some(session) = this.slot.asked_for() else { return Poll::Ready(Ok(response)) };
            if let Some(Failed(error)) = response.extensions_mut().remove::<Failed>() {
                let response = this.on_failure.respond(&error);
                return Poll::Ready(Ok(conclude(response, session, this.slot)));
            }
            let failed = response.status().is_server_error() && !this.slot.policy.save_after_server_error;
            if failed || !session.needs_save() {
                return Poll::Ready(Ok(conclude(response, session, this.slot)));
            }
            let (slot, on_failure) = (Arc::clone(this.slot), this.on_failure.clone());
            *this.finishing = Some(Box::pin(save(response, session.clone(), slot, on_failure)));
        }
        match this.finishing {
            Some(finishing) => finishing.as_mut().poll(context).map(Ok),
            None => Poll::Pending,
        }
    }
}

/// Saves the session, or makes the response one that says that this failed.
async fn save<B, R: FailureResponse<B>>(
    mut response: Response<B>,
    session: Session,
    slot: Arc<Slot>,
    on_failure: R,
) -> Response<B> {
    if let Err(error) = session.save().await
        && !lost_nothing(&error)
    {
        tell(&error);
        response = on_failure.respond(&error);
    }
    conclude(response, &session, &slot)
}

/// Tells the client, and caches on the way, what they have to know. Also after a failure: what the handler itself has committed, such as a
/// login, is so.
fn conclude<B>(mut response: Response<B>, session: &Session, slot: &Slot) -> Response<B> {
    let headers = response.headers_mut();
    vary(headers);
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
    const COOKIE: HeaderValue = HeaderValue::from_static("cookie");
    let names = |value: &HeaderValue| {
        let mut names = value.to_str().unwrap_or_default().split(',').map(str::trim);
        names.any(|name| name.eq_ignore_ascii_case("cookie") || name == "*")
    };
    match headers.entry(VARY) {
        Entry::Vacant(none) => {
            none.insert(COOKIE);
        }
        Entry::Occupied(mut some) => {
            if !some.iter().any(names) {
                some.append(COOKIE);
            }
        }
    }
}

/// A cache that kept this response would give one visitor's session to the next.
fn keep_out_of_caches(headers: &mut HeaderMap) {
    let private = |value: &HeaderValue| {
        let mut directives = value.to_str().unwrap_or_default().split(',').map(str::trim);
        directives.any(|it| it.eq_ignore_ascii_case("private") || it.eq_ignore_ascii_case("no-store"))
    };
    if !headers.get_all(CACHE_CONTROL).iter().any(private) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}
