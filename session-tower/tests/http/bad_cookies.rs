use std::sync::Arc;

use axum::http::StatusCode;
use session_core::SessionId;

use crate::{
    app::app,
    cases,
    client::{Browser, get},
    store::Tap,
};

cases!("bad_cookies": an_unknown_id_is_never_adopted, a_broken_cookie_is_no_cookie, an_expired_id_is_never_adopted);

/// Reads with this cookie, and then writes: the presented id must never get a session.
async fn never_adopted(tap: &Arc<Tap>, cookie: &[u8], presented: &str) {
    let app = app(tap);
    let answer = get(&app, "/read/theme", Some(cookie)).await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, "nothing"));
    assert!(answer.set_cookies().is_empty(), "there is nothing to tell: {answer:?}");

    let answer = get(&app, "/set/theme", Some(cookie)).await;
    assert_eq!(answer.status, StatusCode::OK);
    let mut browser = Browser::default();
    browser.obey(&answer);
    let id = browser.id().expect("a session of its own").to_owned();
    assert_ne!(id, presented);
    assert_eq!(browser.get(&app, "/read/theme").await.text, "set");
    let answer = get(&app, "/read/theme", Some(cookie)).await;
    assert_eq!(answer.text, "nothing", "the presented id has no session");
}

async fn an_unknown_id_is_never_adopted(tap: Arc<Tap>) {
    let id = SessionId::generate().expose().as_str().to_owned();
    never_adopted(&tap, format!("__Host-session={id}").as_bytes(), &id).await;
}

async fn a_broken_cookie_is_no_cookie(tap: Arc<Tap>) {
    let (a, b) = ("A".repeat(28), "B".repeat(28));
    for cookie in [
        b"".to_vec(),
        b";;;=;".to_vec(),
        b"__Host-session".to_vec(),
        b"__Host-session=".to_vec(),
        b"__Host-session=; __Host-session=".to_vec(),
        b"__Host-session=short".to_vec(),
        b"__Host-session=\xff\xfe\x80".to_vec(),
        format!("__Host-session={}", "A".repeat(60_000)).into_bytes(),
        format!("__Host-session={a}; __Host-session={b}").into_bytes(),
        format!("__Host-session={a}AAAA").into_bytes(),
        format!("__Host-session=\"{a}\"").into_bytes(),
        format!("__Host-session={}", "é".repeat(14)).into_bytes(),
        format!("__Host-session={}", "%41".repeat(28)).into_bytes(),
    ] {
        never_adopted(&tap, &cookie, &a).await;
    }
}

async fn an_expired_id_is_never_adopted(tap: Arc<Tap>) {
    let app = app(&tap);
    let mut browser = Browser::default();
    browser.get(&app, "/set/theme").await;
    let id = browser.id().expect("an id").to_owned();
    browser.get(&app, "/logout").await;
    never_adopted(&tap, format!("__Host-session={id}").as_bytes(), &id).await;
}
