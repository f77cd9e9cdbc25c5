use std::time::Duration;

use axum::{
    Form,
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
};
use maud::{Markup, html};
use serde::Deserialize;
use session_core::{Owner, SessionKey};
use session_manager::OwnedSession;
use session_tower::Session;

use super::{
    devices::ago,
    failure::Failure,
    layout::{self, Place},
    operator::Operator,
    visitor::Visitor,
};
use crate::{app::App, meters::Row};

#[derive(Deserialize)]
pub(crate) struct Search {
    owner: Option<String>,
}

/// The page for the application's operators.
pub(crate) async fn page(
    State(app): State<App>,
    _: Operator,
    Query(Search { owner }): Query<Search>,
    session: Session,
) -> Result<Response, Failure> {
    let visitor = Visitor::of(session).await?;
    let wanted = owner.as_deref().map(str::trim).filter(|owner| !owner.is_empty());
    let found = match wanted.and_then(|name| Owner::new(name.to_lowercase()).ok()) {
        Some(owner) => app.manager.sessions_of(&owner).await?,
        None => Vec::new(),
    };
    let live = app.store.sample().await?;
    let body = html! {
        div.row {
            h1 { "Operators" }
            form method="post" action="/operators/sign-out" { button.quiet { "Close" } }
        }
        p { "Sessions are kept in " code { (app.place) } ". No id of a session is shown here, or known to the store." }
        dl.figures {
            div { dt { "Live sessions" } dd { (live.map_or_else(|| "?".to_owned(), |live| live.to_string())) } }
            @for (name, gauge) in [("Most at a time", "sessions_live_peak"), ("Mean lifetime, seconds", "sessions_lifetime_mean_seconds")] {
                div { dt { (name) } dd { (app.meters.gauge(gauge).map_or_else(|| "–".to_owned(), |value| format!("{value:.0}"))) } }
            }
        }
        (operations(&app.meters.operations()))
        h2 { "Sessions of an owner" }
        form.row method="get" action="/operators" role="search" {
            label.hidden for="owner" { "Owner" }
            input #owner name="owner" value=[wanted] placeholder="Owner" autocomplete="off";
            button { "Search" }
        }
        @if let Some(wanted) = wanted { (list(wanted, &found)) }
    };
    Ok(layout::page(Place::Operators, "Operators", visitor.as_ref(), &body))
}

fn operations(rows: &[Row]) -> Markup {
    html! {
        div.wide tabindex="0" role="region" aria-label="Operations of the store since the start" {
            table {
                thead {
                    tr {
                        th scope="col" { "Operation" }
                        @for heading in ["Count", "A second", "p50", "p99", "Conflicts", "Errors"] {
                            th.number scope="col" { (heading) }
                        }
                    }
                }
                tbody {
                    @for row in rows {
                        tr {
                            th scope="row" { (row.operation) }
                            td.number { (row.count) }
                            td.number { (format!("{:.1}", row.per_second)) }
                            td.number { (shown(row.p50)) }
                            td.number { (shown(row.p99)) }
                            td.number { (row.conflicts) }
                            td.number { (row.errors) }
                        }
                    }
                }
            }
        }
    }
}

fn shown(duration: Option<Duration>) -> String {
    match duration {
        None => "–".to_owned(),
        Some(duration) if duration < Duration::from_millis(1) => format!("{} µs", duration.as_micros()),
        Some(duration) => format!("{:.1} ms", duration.as_secs_f64() * 1e3),
    }
}

fn list(owner: &str, sessions: &[OwnedSession]) -> Markup {
    html! {
        @if sessions.is_empty() {
            p.aside { "There is no session of " (owner) "." }
        }
        ul.devices {
            @for session in sessions {
                li.card {
                    div {
                        strong { (session.label.as_deref().unwrap_or("Somewhere")) }
                        p.aside { "Signed in " (ago(session.created)) ", last seen " (ago(session.last_seen)) }
                    }
                    form method="post" action="/operators/end" {
                        input type="hidden" name="owner" value=(owner);
                        button.danger name="key" value=(session.key) { "End" }
                    }
                }
            }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Ended {
    key: String,
    owner: String,
}

pub(crate) async fn end(
    State(app): State<App>,
    _: Operator,
    Form(Ended { key, owner }): Form<Ended>,
) -> Result<Response, Failure> {
    if let Ok(key) = key.parse::<SessionKey>() {
        app.manager.destroy(&key).await?;
    }
    let query: String = form_urlencoded::byte_serialize(owner.as_bytes()).collect();
    Ok(Redirect::to(&format!("/operators?owner={query}")).into_response())
}
