use std::{convert::Infallible, fmt, marker::PhantomData, ops::Deref};

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::{StatusCode, request::Parts};

use crate::Session;

/// Names the cookie of one of [several layers](crate::SessionLayer#several-layers), for
/// [`NamedSession`].
pub trait SessionCookie {
    /// The name as in [`CookieSettings`](crate::CookieSettings), with or without the prefix
    /// `__Host-` or `__Secure-`.
    const NAME: &'static str;
}

/// An extractor for the session of the layer with this cookie.
///
/// ```
/// use axum::{Router, routing::get};
/// use session_memory::MemoryStore;
/// use session_tower::{CookieSettings, NamedSession, Session, SessionCookie, SessionError, SessionLayer};
///
/// struct Admin;
///
/// impl SessionCookie for Admin {
///     const NAME: &'static str = "__Host-admin";
/// }
///
/// async fn page(visitor: Session, admin: NamedSession<Admin>) -> Result<String, SessionError> {
///     Ok(format!("{:?} {:?}", visitor.owner().await?, admin.owner().await?))
/// }
///
/// # fn app() -> Result<Router, session_tower::InvalidCookie> {
/// let store = MemoryStore::new();
/// let admin = SessionLayer::new(store.clone()).with_cookie(CookieSettings::new(Admin::NAME))?;
/// let app = Router::new().route("/", get(page)).layer(SessionLayer::new(store)).layer(admin);
/// # Ok(app) }
/// # app().expect("good cookies");
/// ```
pub struct NamedSession<C>(Session, PhantomData<fn() -> C>);

impl<C> NamedSession<C> {
    /// The session itself.
    pub fn into_inner(self) -> Session {
        self.0
    }
}

impl<C> Clone for NamedSession<C> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<C> Deref for NamedSession<C> {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.0
    }
}

impl<C> fmt::Debug for NamedSession<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<C: SessionCookie, S: Sync> FromRequestParts<S> for NamedSession<C> {
    type Rejection = (StatusCode, String);

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Session::named(parts, C::NAME).map(|session| Self(session, PhantomData)).ok_or_else(|| {
            let reason =
                format!("there is no SessionLayer with the cookie {} around this route: add one", C::NAME);
            (StatusCode::INTERNAL_SERVER_ERROR, reason)
        })
    }
}

/// `None` means that there is no such layer, never that a visitor has no session yet.
impl<C: SessionCookie, S: Sync> OptionalFromRequestParts<S> for NamedSession<C> {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(Session::named(parts, C::NAME).map(|session| Self(session, PhantomData)))
    }
}
