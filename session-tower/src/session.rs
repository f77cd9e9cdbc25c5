use std::{fmt, ops::Deref, sync::Arc};

use http::request::Parts;

use crate::{
    CookieLifetime,
    slot::{Scope, Slot},
};

/// The session of a request: everything that [`session_manager::Session`] can, which it derefs to. Clones are handles on the same session.
///
/// With axum it is an extractor. Elsewhere, [`of`](Self::of) takes it from a request. What a handler changes by `insert`, `remove` and
/// `clear` is saved before the head of the response is sent; what it changes later, while it streams a body, is not, so call
/// [`save`](session_manager::Session::save) then.
#[derive(Clone)]
pub struct Session {
    session: session_manager::Session,
    slot: Arc<Slot>,
}

impl Session {
    /// The session of the request with this head. `None` if no [`SessionLayer`](crate::SessionLayer) is around the service.
    ///
    /// Costs no I/O: the store is asked when something is read.
    pub fn of(request: &Parts) -> Option<Self> {
        let scope = request.extensions.get::<Scope>()?;
        Some(Self::at(scope.current(), request))
    }

    /// The session of the layer whose cookie has this name, where there are [several layers](crate::SessionLayer#several-layers) around the
    /// service: [`of`](Self::of) gives that of the innermost one. `None` if there is no such layer.
    ///
    /// The prefixes `__Host-` and `__Secure-` count for nothing here, so that the same name does without TLS, where there are none.
    pub fn named(request: &Parts, cookie: &str) -> Option<Self> {
        let scope = request.extensions.get::<Scope>()?;
        scope.named(cookie).map(|slot| Self::at(slot, request))
    }

    fn at(slot: &Arc<Slot>, request: &Parts) -> Self {
        Self { session: slot.session(request).clone(), slot: Arc::clone(slot) }
    }

    /// Overrules, for this session, how long the client keeps the cookie, as for "remember me". To be called beside the login, with
    /// [`set_timeouts`](session_manager::Session::set_timeouts) for the server's side of it. What is left of a second counts as one.
    ///
    /// The session remembers it through rotations, under the key `session-tower:cookie`, and the cookie is renewed as
    /// [`CookieLifetime::Persistent`] says. A login as another owner, and `clear`, end it.
    pub fn set_cookie_lifetime(&self, lifetime: CookieLifetime) {
        *self.slot.lifetime.lock() = Some(lifetime.in_seconds());
    }

    /// The session without the cookie, for code that knows nothing of HTTP.
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
