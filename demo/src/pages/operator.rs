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

/// The cookie of an operator, which has a session of its own beside that of a visitor: signing in or out as one changes nothing for the other, and a
/// visitor's id opens nothing here.
pub(crate) struct OperatorCookie;

impl SessionCookie for OperatorCookie {
    const NAME: &'static str = "__Host-operator";
}

/// Under which key such a session keeps what it was let in with.
const KEY: &str = "operator";

const IDLE: Duration = Duration::from_mins(30);
const ABSOLUTE: Duration = Duration::from_hours(8);

/// An operator that has signed in. A handler that takes one is reached by no other visitor: those see the page to sign in.
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
    // The digest of the secret, which is another one after each start.
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
    // The comparison takes the same time wherever they differ.
    if secret.trim().parse::<SessionId>().is_ok_and(|secret| secret == *app.operators_secret) {
        session.insert(KEY, &app.operators_secret.key().to_string())?;
        session.set_timeouts(IDLE, ABSOLUTE)?;
        // An id that was good for less must not be good for this.
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
