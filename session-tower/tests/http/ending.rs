use std::sync::Arc;

use axum::http::StatusCode;

use crate::{
    app::{Gate, app, app_with_gate},
    cases,
    client::{Browser, get},
    store::Tap,
};

cases!("ending": a_logout_removes_the_cookie, a_logout_is_final_for_a_slow_request, a_login_is_final_for_a_slow_request, a_handler_that_knows_of_it_has_the_last_word, nobody_is_logged_out_twice);

async fn a_logout_removes_the_cookie(tap: Arc<Tap>) {
    let app = app(&tap);
    let mut browser = Browser::default();
    browser.get(&app, "/login/alice").await;
    let answer = browser.get(&app, "/logout").await;
    let [cookie] = answer.set_cookies()[..] else { panic!("one cookie: {answer:?}") };
    assert!(cookie.starts_with("__Host-session=;") && cookie.contains("Max-Age=0"), "{cookie}");
    for attribute in ["Path=/", "Secure", "HttpOnly"] {
        assert!(cookie.contains(attribute), "browsers would not take it otherwise: {cookie}");
    }
    assert_eq!(browser.id(), None);
    assert_eq!(tap.count().await, 0);
}

async fn a_logout_is_final_for_a_slow_request(tap: Arc<Tap>) {
    let gate = Arc::<Gate>::default();
    let app = app_with_gate(&tap, &gate);
    let mut browser = Browser::default();
    browser.get(&app, "/login/alice").await;
    let cookie = browser.cookie_header();
    let slow = tokio::spawn({
        let app = app.clone();
        async move { get(&app, "/set-slowly/draft", cookie.as_deref().map(str::as_bytes)).await }
    });
    gate.reached.notified().await;
    browser.get(&app, "/logout").await;
    gate.open.notify_one();
    let slow = slow.await.expect("no panic");
    assert_eq!(slow.status, StatusCode::CONFLICT, "it could not keep what it had to");
    assert!(slow.set_cookies().is_empty(), "{slow:?}");
    assert_eq!(tap.count().await, 0, "nothing is alive again");
}

async fn a_handler_that_knows_of_it_has_the_last_word(tap: Arc<Tap>) {
    let gate = Arc::<Gate>::default();
    let app = app_with_gate(&tap, &gate);
    let mut browser = Browser::default();
    browser.get(&app, "/login/alice").await;
    let cookie = browser.cookie_header();
    let slow = tokio::spawn({
        let app = app.clone();
        async move { get(&app, "/count-slowly", cookie.as_deref().map(str::as_bytes)).await }
    });
    gate.reached.notified().await;
    browser.get(&app, "/logout").await;
    gate.open.notify_one();
    let slow = slow.await.expect("no panic");
    assert_eq!((slow.status, slow.text.as_str()), (StatusCode::OK, "sign in again"));
    assert_eq!(tap.count().await, 0);
}

async fn a_login_is_final_for_a_slow_request(tap: Arc<Tap>) {
    let gate = Arc::<Gate>::default();
    let app = app_with_gate(&tap, &gate);
    let mut browser = Browser::default();
    browser.get(&app, "/set/theme").await;
    let cookie = browser.cookie_header();
    let slow = tokio::spawn({
        let app = app.clone();
        async move { get(&app, "/set-slowly/draft", cookie.as_deref().map(str::as_bytes)).await }
    });
    gate.reached.notified().await;
    browser.get(&app, "/login/alice").await;
    gate.open.notify_one();
    let slow = slow.await.expect("no panic");
    assert!(slow.set_cookies().is_empty(), "the browser has a newer id: {slow:?}");
    browser.obey(&slow);
    assert_eq!(browser.get(&app, "/read/theme").await.text, "set", "the new login is alive");
    assert_eq!(tap.count().await, 1);
}

async fn nobody_is_logged_out_twice(tap: Arc<Tap>) {
    let app = app(&tap);
    let mut browser = Browser::default();
    browser.get(&app, "/login/alice").await;
    let twin = browser.cookie_header();
    browser.get(&app, "/logout").await;
    let again = get(&app, "/logout", twin.as_deref().map(str::as_bytes)).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "it has ended nothing, and does not say that it has");
    assert!(again.set_cookies().is_empty(), "the browser may have a newer id: {again:?}");
    assert_eq!(tap.count().await, 0);
}
