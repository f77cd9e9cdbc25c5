use std::time::SystemTime;

use axum::{
    Form,
    extract::State,
    response::{Redirect, Response},
};
use maud::html;
use serde::Deserialize;
use session_core::SessionKey;

use super::{
    failure::Failure,
    layout::{self, Place},
    visitor::Visitor,
};
use crate::app::App;

pub(crate) async fn page(State(app): State<App>, visitor: Visitor) -> Result<Response, Failure> {
    let devices = app.manager.sessions_of(&visitor.owner).await?;
    let this = visitor.session.key();
    let body = html! {
        h1 { "Your devices" }
        p { "Wherever " strong { (visitor.name) } " is signed in. What is ended here is ended at once, whatever it is just doing." }
        ul.devices {
            @for device in &devices {
                li.card {
                    div {
                        strong { (device.label.as_deref().unwrap_or("Somewhere")) }
                        @if Some(device.key) == this { " " span.badge { "this one" } }
                        p.aside { "Signed in " (ago(device.created)) ", last seen " (ago(device.last_seen)) }
                    }
                    @if Some(device.key) != this {
                        form method="post" action="/devices/sign-out" {
                            button.quiet name="key" value=(device.key) { "Sign out there" }
                        }
                    }
                }
            }
        }
        div.row {
            form method="post" action="/devices/sign-out-others" {
                button.quiet disabled[devices.len() < 2] { "Sign out all others" }
            }
            form method="post" action="/devices/sign-out-everywhere" {
                button.danger { "Sign out everywhere" }
            }
        }
    };
    Ok(layout::page(Place::Devices, "Your devices", Some(&visitor), &body))
}

#[derive(Deserialize)]
pub(crate) struct Device {
    key: String,
}

pub(crate) async fn sign_out(
    State(app): State<App>,
    visitor: Visitor,
    Form(Device { key }): Form<Device>,
) -> Result<Redirect, Failure> {
    // Only sessions of this visitor can be ended, whatever key the form holds.
    if let Ok(key) = key.parse::<SessionKey>()
        && app.manager.sessions_of(&visitor.owner).await?.iter().any(|device| device.key == key)
    {
        app.manager.destroy(&key).await?;
    }
    Ok(Redirect::to("/devices"))
}

pub(crate) async fn sign_out_others(visitor: Visitor) -> Result<Redirect, Failure> {
    visitor.session.logout_others().await?;
    Ok(Redirect::to("/devices"))
}

pub(crate) async fn sign_out_everywhere(
    State(app): State<App>,
    visitor: Visitor,
) -> Result<Redirect, Failure> {
    // This session first: its logout also removes the cookie, and reports whether there was a
    // session to end.
    let here = visitor.session.logout().await;
    app.manager.logout_everywhere(&visitor.owner).await?;
    here?;
    Ok(Redirect::to("/"))
}

/// The time since `then`, in words.
pub(crate) fn ago(then: SystemTime) -> String {
    let seconds = then.elapsed().unwrap_or_default().as_secs();
    let (many, unit) = match seconds {
        0..=59 => return "just now".to_owned(),
        60..=3_599 => (seconds / 60, "minute"),
        3_600..=86_399 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{many} {unit}{} ago", if many == 1 { "" } else { "s" })
}
