use std::{fmt, ops::Deref, sync::Arc};

use http::request::Parts;

use crate::{CookieLifetime, slot::Slot};

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
        let slot = request.extensions.get::<Arc<Slot>>()?;
        Some(Self { session: slot.session(&request.headers).clone(), slot: Arc::clone(slot) })
    }

    /// Overrules, for this session, how long the client keeps a cookie that this response sets, as for "remember me". To be called beside the
    /// login, with [`set_timeouts`](session_manager::Session::set_timeouts) for the server's side of it.
    ///
    /// A response that sets no cookie changes nothing on the client. Where the session is rotated later, it has to be said again.
    pub fn set_cookie_lifetime(&self, lifetime: CookieLifetime) {
        *self.slot.lifetime.lock() = Some(lifetime);
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
