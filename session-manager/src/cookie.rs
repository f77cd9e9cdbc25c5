use session_core::SessionId;

/// What the client has to be told at the end of a request: see [`Session::cookie_change`](crate::Session::cookie_change).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum CookieChange {
    /// Nothing. What the client has, if anything, is right, or another response has told it something newer.
    Keep,
    /// The session has this id from now on: it is new, or was rotated.
    Set(SessionId),
    /// The session was logged out by this request.
    Remove,
}
