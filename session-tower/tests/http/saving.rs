use std::sync::Arc;

use session_tower::SessionLayer;

use crate::{
    app::{Gate, app, app_with_gate, routes},
    cases,
    client::{Browser, get},
    store::Tap,
};

cases!("saving":
    what_was_set_is_there_when_the_response_is,
    requests_at_once_lose_nothing,
    nothing_is_saved_after_a_server_error,
    unless_it_is_wanted,
    a_panic_saves_nothing,
    a_client_that_goes_away_saves_nothing_half,
);

async fn what_was_set_is_there_when_the_response_is(tap: Arc<Tap>) {
    let app = app(&tap);
    let mut browser = Browser::default();
    for key in ["a", "b", "c"] {
        browser.get(&app, &format!("/set/{key}")).await;
        assert_eq!(browser.get(&app, &format!("/read/{key}")).await.text, "set");
    }
    assert_eq!(tap.count().await, 1);
}

async fn requests_at_once_lose_nothing(tap: Arc<Tap>) {
    let app = app(&tap);
    let mut browser = Browser::default();
    browser.get(&app, "/count").await;
    let requests: Vec<_> = (0..64)
        .map(|number| {
            let (app, cookie) = (app.clone(), browser.cookie_header());
            let path = if number % 2 == 0 { "/count".to_owned() } else { format!("/set/key{number}") };
            tokio::spawn(async move { get(&app, &path, cookie.as_deref().map(str::as_bytes)).await })
        })
        .collect();
    for request in requests {
        assert!(request.await.expect("no panic").status.is_success());
    }
    for number in (1..64).step_by(2) {
        assert_eq!(browser.get(&app, &format!("/read/key{number}")).await.text, "set");
    }
    assert_eq!(browser.get(&app, "/count").await.text, "34");
}

async fn nothing_is_saved_after_a_server_error(tap: Arc<Tap>) {
    let app = app(&tap);
    let mut browser = Browser::default();
    browser.get(&app, "/set/theme").await;
    assert!(browser.get(&app, "/set-and-fail").await.status.is_server_error());
    assert_eq!(browser.get(&app, "/read/failed").await.text, "nothing");
    assert!(Browser::default().get(&app, "/set-and-fail").await.set_cookies().is_empty());
    assert_eq!(tap.count().await, 1);
}

async fn unless_it_is_wanted(tap: Arc<Tap>) {
    let layer = SessionLayer::new(tap).save_after_server_error(true);
    let app = routes(&Arc::<Gate>::default()).layer(layer);
    let mut browser = Browser::default();
    assert!(browser.get(&app, "/set-and-fail").await.status.is_server_error());
    assert_eq!(browser.get(&app, "/read/failed").await.text, "half done");
}

async fn a_panic_saves_nothing(tap: Arc<Tap>) {
    let app = app(&tap);
    let mut browser = Browser::default();
    browser.get(&app, "/set/theme").await;
    let cookie = browser.cookie_header();
    let request = tokio::spawn({
        let app = app.clone();
        async move { get(&app, "/set-and-panic", cookie.as_deref().map(str::as_bytes)).await }
    });
    assert!(request.await.expect_err("it panics").is_panic());
    assert_eq!(browser.get(&app, "/read/panicked").await.text, "nothing");
    assert_eq!(browser.get(&app, "/read/theme").await.text, "set");
}

async fn a_client_that_goes_away_saves_nothing_half(tap: Arc<Tap>) {
    let gate = Arc::<Gate>::default();
    let app = app_with_gate(&tap, &gate);
    let mut browser = Browser::default();
    browser.get(&app, "/set/theme").await;
    let cookie = browser.cookie_header();
    let request = tokio::spawn({
        let app = app.clone();
        async move { get(&app, "/set-slowly/draft", cookie.as_deref().map(str::as_bytes)).await }
    });
    gate.reached.notified().await;
    // A server does this when a connection breaks.
    request.abort();
    assert!(request.await.expect_err("it was dropped").is_cancelled());
    assert_eq!(browser.get(&app, "/read/draft").await.text, "nothing");
    assert_eq!(browser.get(&app, "/read/theme").await.text, "set");
}
