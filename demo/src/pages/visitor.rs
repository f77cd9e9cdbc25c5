use axum::{
    extract::FromRequestParts,
    http::request::Parts,
    response::{IntoResponse, Redirect, Response},
};
use session_core::Owner;
use session_tower::Session;

use super::failure::Failure;

/// A visitor that has signed in. Requests without a sign-in do not reach handlers that take this:
/// they are redirected to the sign-in page.
pub(crate) struct Visitor {
    pub(crate) session: Session,
    pub(crate) owner: Owner,
    pub(crate) name: String,
}

impl Visitor {
    /// The visitor of this session, or `None` without a sign-in.
    pub(crate) async fn of(session: Session) -> Result<Option<Self>, Failure> {
        let Some(owner) = session.owner().await? else { return Ok(None) };
        let name = session.get("name").await?.unwrap_or_else(|| owner.as_str().to_owned());
        Ok(Some(Self { session, owner, name }))
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let session = Session::from_request_parts(parts, state).await.map_err(IntoResponse::into_response)?;
        match Self::of(session).await {
            Ok(Some(visitor)) => Ok(visitor),
            Ok(None) => Err(Redirect::to("/").into_response()),
            Err(failure) => Err(failure.into_response()),
        }
    }
}
