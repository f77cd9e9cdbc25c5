use std::time::Duration;

use axum::{
    Form,
    extract::{FromRequestParts, State},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use maud::html;
use serde::Deserialize;
use session_core::SessionId;
use session_tower::{NamedSession, Session, SessionCookie};

use super::{
    failure::Failure,
    layout::{self, Place},
    visitor::Visitor,
};
use crate::app::App;

/// The cookie of an operator. Its session is separate from a visitor's session in the same browser:
/// signing in or out of one does not change the other, and a visitor's id opens nothing here.
pub(crate) struct OperatorCookie;

impl SessionCookie for OperatorCookie {
    const NAME: &'static str = "__Host-operator";
}

/// The session key that holds the digest of the secret with which the operator has signed in.
const KEY: &str = "operator";

const IDLE: Duration = Duration::from_mins(30);
const ABSOLUTE: Duration = Duration::from_hours(8);

/// An operator that has signed in. Other visitors do not reach a handler that takes this: they get
/// the sign-in page.
pub(crate) struct Operator;

impl FromRequestParts<App> for Operator {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        if is_let_in(parts, app).await? {
            return Ok(Self);
        }
        let session = Session::from_request_parts(parts, app).await.map_err(IntoResponse::into_response)?;
        let visitor = Visitor::of(session).await.map_err(IntoResponse::into_response)?;
        Err(ask_for_secret(visitor.as_ref(), None))
    }
}

async fn is_let_in(parts: &mut Parts, app: &App) -> Result<bool, Response> {
    let session = NamedSession::<OperatorCookie>::from_request_parts(parts, app).await;
    let session = session.map_err(IntoResponse::into_response)?;
    let let_in: Option<String> =
        session.get(KEY).await.map_err(|error| Failure::from(error).into_response())?;
    // The digest of the current secret, which changes with each start.
    Ok(let_in == Some(app.operators_secret.key().to_string()))
}

fn ask_for_secret(visitor: Option<&Visitor>, error: Option<&str>) -> Response {
    let body = html! {
        h1 { "Operators" }
        p { "This page is for the operator of the program, which printed a secret when it was started." }
        form.card method="post" action="/operators/sign-in" {
            label for="secret" { "Secret" }
            input #secret name="secret" type="password" required autocomplete="off" autofocus
                aria-describedby=[error.map(|_| "secret-error")];
            @if let Some(error) = error {
                p.error #secret-error { (error) }
            }
            button { "Open" }
        }
    };
    (StatusCode::FORBIDDEN, layout::page(Place::Operators, "Operators", visitor, &body)).into_response()
}

#[derive(Deserialize)]
pub(crate) struct Secret {
    secret: String,
}

pub(crate) async fn sign_in(
    State(app): State<App>,
    visitor: Session,
    session: NamedSession<OperatorCookie>,
    Form(Secret { secret }): Form<Secret>,
) -> Result<Response, Failure> {
    // The comparison takes constant time.
    if secret.trim().parse::<SessionId>().is_ok_and(|secret| secret == *app.operators_secret) {
        session.insert(KEY, &app.operators_secret.key().to_string())?;
        session.set_timeouts(IDLE, ABSOLUTE)?;
        // An id with fewer rights must not get these rights.
        session.rotate().await?;
        return Ok(Redirect::to("/operators").into_response());
    }
    let visitor = Visitor::of(visitor).await?;
    Ok(ask_for_secret(visitor.as_ref(), Some("This is not the secret.")))
}

pub(crate) async fn sign_out(session: NamedSession<OperatorCookie>) -> Result<Redirect, Failure> {
    session.logout().await?;
    Ok(Redirect::to("/operators"))
}
