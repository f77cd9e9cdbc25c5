use std::{fmt, ops::Deref, sync::Arc};

use http::request::Parts;

use crate::{
    CookieLifetime,
    request_session::{RequestSession, Scope},
};

/// The session of a request. Derefs to [`session_manager::Session`], and so has all its methods.
/// Clones are handles on the same session.
///
/// With axum it is an extractor. Elsewhere, [`of`](Self::of) takes it from a request. Changes that
/// a handler makes by `insert`, `remove` and `clear` are saved before the head of the response is
/// sent. Later changes, made while the body is streamed, are not saved: call
/// [`save`](session_manager::Session::save) then.
#[derive(Clone)]
pub struct Session {
    session: session_manager::Session,
    slot: Arc<RequestSession>,
}

impl Session {
    /// The session of the request with this head. `None` if no
    /// [`SessionLayer`](crate::SessionLayer) is around the service.
    ///
    /// Costs no I/O: the store is asked when something is read.
    pub fn of(request: &Parts) -> Option<Self> {
        let scope = request.extensions.get::<Scope>()?;
        Some(Self::at(scope.current(), request))
    }

    /// The session of the layer whose cookie has this name, where there are [several
    /// layers](crate::SessionLayer#several-layers) around the service. `None` if there is no such
    /// layer.
    ///
    /// [`of`](Self::of) returns the session of the innermost layer. The prefixes `__Host-` and
    /// `__Secure-` are ignored here, so that the same name works without TLS, where the cookie has
    /// no prefix.
    pub fn named(request: &Parts, cookie: &str) -> Option<Self> {
        let scope = request.extensions.get::<Scope>()?;
        scope.named(cookie).map(|slot| Self::at(slot, request))
    }

    fn at(slot: &Arc<RequestSession>, request: &Parts) -> Self {
        Self { session: slot.session(request).clone(), slot: Arc::clone(slot) }
    }

    /// Overrides, for this session, how long the client keeps the cookie, as for "remember me".
    /// Call it beside the login, together with
    /// [`set_timeouts`](session_manager::Session::set_timeouts) for the lifetime on the server.
    ///
    /// A fraction of a second counts as a whole one. The session stores the lifetime under the key
    /// `session-tower:cookie` and keeps it through rotations; the cookie is renewed as described at
    /// [`CookieLifetime::Persistent`]. A login as another owner, and `clear`, discard it.
    pub fn set_cookie_lifetime(&self, lifetime: CookieLifetime) {
        *self.slot.lifetime.lock() = Some(lifetime.in_seconds());
    }

    /// The session without the cookie, for code that does not depend on HTTP.
    pub fn into_inner(self) -> session_manager::Session {
        self.session
    }
}

impl Deref for Session {
    type Target = session_manager::Session;

    fn deref(&self) -> &Self::Target {
        &self.session
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.session.fmt(f)
    }
}
