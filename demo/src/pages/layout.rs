use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use maud::{DOCTYPE, Markup, html};

use super::visitor::Visitor;

/// The pages in the menu.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    SignIn,
    Notes,
    Devices,
    Operators,
}

const MENU: [(Place, &str, &str); 3] = [
    (Place::Notes, "/notes", "Notes and cart"),
    (Place::Devices, "/devices", "Your devices"),
    (Place::Operators, "/operators", "Operators"),
];

/// A whole page. It may not be cached, so that pressing "back" after signing out shows nothing
/// private.
pub(crate) fn page(place: Place, title: &str, visitor: Option<&Visitor>, body: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · session demo" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/style.css";
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header {
                    a.brand href="/" { "session demo" }
                    nav aria-label="Pages" {
                        @for (to, href, name) in MENU {
                            @if to == Place::Operators || visitor.is_some() {
                                a href=(href) aria-current=[(to == place).then_some("page")] { (name) }
                            }
                        }
                    }
                    @if let Some(visitor) = visitor {
                        form.who method="post" action="/sign-out" {
                            span { (visitor.name) }
                            button.quiet { "Sign out" }
                        }
                    }
                }
                main #content { (body) }
            }
        }
    };
    ([(header::CACHE_CONTROL, "no-store")], page).into_response()
}
