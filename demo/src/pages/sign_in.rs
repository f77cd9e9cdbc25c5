use axum::{
    Form,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use maud::html;
use serde::Deserialize;
use session_core::Owner;
use session_tower::Session;

use super::{
    failure::Failure,
    layout::{self, Place},
    visitor::Visitor,
};
use crate::{
    app::{ABSOLUTE, App, IDLE},
    newcomers::WINDOW,
};

/// The maximum length of a name.
const LONGEST_NAME: usize = 40;

fn for_guests(app: &App, tried: Option<&str>, error: Option<&str>, ended: bool) -> Response {
    let body = html! {
        h1 { "Sign in" }
        @if ended {
            p.notice role="status" { "Your session has ended. What was not saved is gone with it." }
        }
        p { "Any name will do. Sign in with the same one in another browser, and see both under " em { "Your devices" } "." }
        form.card method="post" action="/sign-in" {
            label for="name" { "Name" }
            input #name name="name" required maxlength=(LONGEST_NAME) autocomplete="username" autofocus value=[tried]
                aria-describedby=[error.map(|_| "name-error")];
            @if let Some(error) = error {
                p.error #name-error { (error) }
            }
            button { "Sign in" }
        }
        p.aside { "Sessions are kept in " (app.engine) "." }
    };
    layout::page(Place::SignIn, "Sign in", None, &body)
}

pub(crate) async fn page(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    session: Session,
) -> Result<Response, Failure> {
    let tried: Option<String> = session.get("tried").await?;
    if Visitor::of(session).await?.is_some() {
        return Ok(Redirect::to("/notes").into_response());
    }
    Ok(for_guests(&app, tried.as_deref(), None, query.as_deref() == Some("ended")))
}

#[derive(Deserialize)]
pub(crate) struct Name {
    name: String,
}

pub(crate) async fn sign_in(
    State(app): State<App>,
    session: Session,
    headers: HeaderMap,
    Form(Name { name }): Form<Name>,
) -> Result<Response, Failure> {
    let name = name.trim();
    let owner = match name.chars().count() {
        1..=LONGEST_NAME => Owner::new(name.to_lowercase()).ok(),
        _ => None,
    };
    let is_newcomer = !session.load().await?;
    let may_begin = !is_newcomer || app.newcomers.admit();
    let Some(owner) = owner else {
        let tried: String = name.chars().take(LONGEST_NAME).collect();
        if may_begin {
            remember(&session, &tried)?;
        }
        return Ok(for_guests(&app, Some(&tried), Some("A name has 1 to 40 characters."), false));
    };
    if !may_begin {
        let page =
            for_guests(&app, Some(name), Some("So many sign in just now; please try again later."), false);
        return Ok((StatusCode::TOO_MANY_REQUESTS, page).into_response());
    }
    session.remove("tried");
    session.set_timeouts(IDLE, ABSOLUTE)?;
    session.set_label(&browser(&headers));
    session.insert("name", name)?;
    session.login(owner).await?;
    Ok(Redirect::to("/notes").into_response())
}

/// Stores the name that a guest has typed, so that it need not be typed again. This creates a
/// short-lived session without an owner.
fn remember(session: &session_manager::Session, tried: &str) -> session_manager::Result<()> {
    session.insert("tried", tried)?;
    session.set_timeouts(WINDOW, WINDOW)
}

pub(crate) async fn sign_out(session: Session) -> Result<Redirect, Failure> {
    session.logout().await?;
    Ok(Redirect::to("/"))
}

/// The browser's name from its user agent, in a few words.
fn browser(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let first = |known: &[(&str, &str)], otherwise: &str| {
        let found = known.iter().find(|(part, _)| agent.contains(part));
        found.map_or_else(|| otherwise.to_owned(), |(_, name)| (*name).to_owned())
    };
    // The order matters: the user agents of earlier entries contain the names of later ones, too.
    let name = first(
        &[
            ("Edg/", "Edge"),
            ("Firefox/", "Firefox"),
            ("Chrome/", "Chrome"),
            ("Safari/", "Safari"),
            ("curl/", "curl"),
        ],
        "A browser",
    );
    let system = first(
        &[
            ("Android", "Android"),
            ("iPhone", "iPhone"),
            ("iPad", "iPad"),
            ("Windows", "Windows"),
            ("Mac OS", "macOS"),
            ("Linux", "Linux"),
        ],
        "",
    );
    if system.is_empty() { name } else { format!("{name} on {system}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_guests_session_is_small_and_short() {
        let store = session_memory::MemoryStore::new();
        let session = session_manager::SessionManager::new(store.clone()).create();
        remember(&session, &"\u{10348}".repeat(LONGEST_NAME)).expect("a name");
        session.save().await.expect("saved");
        let key = session.key().expect("stored");
        let record = session_core::SessionStore::read(&store, &key).await.expect("a read").expect("live");
        assert!(record.expires_in <= WINDOW && record.data.len() < 512, "{} bytes", record.data.len());
    }

    #[test]
    fn browsers_are_named_in_a_few_words() {
        let mut headers = HeaderMap::new();
        assert_eq!(browser(&headers), "A browser");
        let agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36";
        headers.insert(header::USER_AGENT, agent.parse().expect("a header"));
        assert_eq!(browser(&headers), "Chrome on Linux");
    }
}
