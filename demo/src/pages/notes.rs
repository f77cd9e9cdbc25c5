use std::time::Duration;

use axum::{
    Form,
    response::{Redirect, Response},
};
use maud::html;
use serde::{Deserialize, Serialize};

use super::{
    failure::Failure,
    layout::{self, Place},
    visitor::Visitor,
};

/// The maximum number of notes; the oldest are removed.
const MOST_NOTES: usize = 50;

const LONGEST_NOTE: usize = 200;

/// The delay of the slow request in seconds: long enough to sign out in another tab. A form may ask
/// for more.
const SLOWLY: u64 = 4;
const MOST_SLOWLY: u64 = 30;

const MOST_OF_A_KIND: u32 = 99;

const GOODS: [&str; 3] = ["Coffee", "Tea", "Cake"];

#[derive(Clone, Serialize, Deserialize)]
struct Note {
    number: u64,
    text: String,
}

/// The goods in a visitor's cart, with their number.
type Cart = Vec<(String, u32)>;

pub(crate) async fn page(visitor: Visitor) -> Result<Response, Failure> {
    let notes: Vec<Note> = visitor.session.get("notes").await?.unwrap_or_default();
    let cart: Cart = visitor.session.get("cart").await?.unwrap_or_default();
    let body = html! {
        h1 { "Hello, " (visitor.name) }
        p { "Open this page in two tabs and change both: nothing that either of them does gets lost." }
        div.columns {
            section.card aria-labelledby="notes" {
                h2 #notes { "Notes" }
                form.row method="post" action="/notes" {
                    label.hidden for="text" { "A new note" }
                    input #text name="text" required maxlength=(LONGEST_NOTE) placeholder="A new note" autocomplete="off" autofocus;
                    button { "Add" }
                    button.quiet formaction="/notes/slowly" title="Takes four seconds. Meanwhile, sign out in another tab: you stay signed out." { "Add slowly" }
                }
                @if notes.is_empty() {
                    p.aside { "There are none yet." }
                }
                ul.notes {
                    @for note in notes.iter().rev() {
                        li {
                            span { (note.text) }
                            form method="post" action="/notes/remove" {
                                button.quiet name="number" value=(note.number) aria-label={ "Remove the note " (note.text) } { "Remove" }
                            }
                        }
                    }
                }
            }
            section.card aria-labelledby="cart" {
                h2 #cart { "Cart" }
                table {
                    thead { tr { th scope="col" { "Goods" } th.number scope="col" { "How many" } th scope="col" { span.hidden { "Change" } } } }
                    tbody {
                        @for goods in GOODS {
                            @let many = cart.iter().find(|(name, _)| name == goods).map_or(0, |(_, many)| *many);
                            tr {
                                th scope="row" { (goods) }
                                td.number data-goods=(goods) { (many) }
                                td {
                                    form.row method="post" action="/cart" {
                                        input type="hidden" name="goods" value=(goods);
                                        button.quiet name="change" value="-1" aria-label={ "One " (goods) " less" } disabled[many == 0] { "−" }
                                        button.quiet name="change" value="1" aria-label={ "One " (goods) " more" } { "+" }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    };
    Ok(layout::page(Place::Notes, "Notes and cart", Some(&visitor), &body))
}

#[derive(Deserialize)]
pub(crate) struct Text {
    text: String,
    seconds: Option<u64>,
}

pub(crate) async fn add(visitor: Visitor, Form(Text { text, .. }): Form<Text>) -> Result<Redirect, Failure> {
    let text: String = text.trim().chars().take(LONGEST_NOTE).collect();
    if !text.is_empty() {
        let add = |notes: Option<Vec<Note>>| {
            let mut notes = notes.unwrap_or_default();
            let number = notes.last().map_or(1, |note| note.number + 1);
            notes.push(Note { number, text: text.clone() });
            let surplus = notes.len().saturating_sub(MOST_NOTES);
            notes.drain(..surplus);
            notes
        };
        visitor.session.update("notes", add).await?;
    }
    Ok(Redirect::to("/notes"))
}

/// As [`add`], but with the delay of a request that calls a busy service. It must not undo what
/// happens meanwhile.
pub(crate) async fn add_slowly(visitor: Visitor, form: Form<Text>) -> Result<Redirect, Failure> {
    let seconds = form.seconds.unwrap_or(SLOWLY).min(MOST_SLOWLY);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    add(visitor, form).await
}

#[derive(Deserialize)]
pub(crate) struct Number {
    number: u64,
}

pub(crate) async fn remove(
    visitor: Visitor,
    Form(Number { number }): Form<Number>,
) -> Result<Redirect, Failure> {
    let remove = |notes: Option<Vec<Note>>| {
        let mut notes = notes.unwrap_or_default();
        notes.retain(|note| note.number != number);
        notes
    };
    visitor.session.update("notes", remove).await?;
    Ok(Redirect::to("/notes"))
}

#[derive(Deserialize)]
pub(crate) struct CartChange {
    goods: String,
    change: i32,
}

pub(crate) async fn change_cart(
    visitor: Visitor,
    Form(CartChange { goods, change }): Form<CartChange>,
) -> Result<Redirect, Failure> {
    if GOODS.contains(&goods.as_str()) {
        let change = |cart: Option<Cart>| {
            let mut cart = cart.unwrap_or_default();
            let many = cart.iter().find(|(name, _)| *name == goods).map_or(0, |(_, many)| *many);
            cart.retain(|(name, _)| *name != goods);
            let many = many.saturating_add_signed(change).min(MOST_OF_A_KIND);
            if many > 0 {
                cart.push((goods.clone(), many));
            }
            cart
        };
        visitor.session.update("cart", change).await?;
    }
    Ok(Redirect::to("/notes"))
}
