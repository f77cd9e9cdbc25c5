use session_core::SessionId;

/// What to send to the client at the end of a request: see
/// [`Session::cookie_change`](crate::Session::cookie_change).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum CookieChange {
    /// Nothing. The client's cookie, if any, is right, or another response has sent a newer one.
    Keep,
    /// The session has this id from now on: it is new, or was rotated.
    Set(SessionId),
    /// The session was logged out by this request.
    Remove,
}
