use std::sync::Arc;

use axum::{
    http::StatusCode,
    response::{IntoResponse, Redirect},
};
use session_tower::SessionLayer;

use crate::{
    app::{Gate, app, routes},
    cases,
    client::Browser,
    store::Tap,
};

cases!("outages": an_outage_is_never_an_empty_session, a_save_that_fails_is_no_success, the_application_may_have_a_response_of_its_own, a_lost_reply_counts_once,
    without_a_layer_the_error_says_what_to_do);

async fn an_outage_is_never_an_empty_session(tap: Arc<Tap>) {
    let app = app(&tap);
    let mut browser = Browser::default();
    browser.get(&app, "/set/theme").await;
    tap.refuse_reads(true);
    for path in ["/read/theme", "/count"] {
        let answer = browser.get(&app, path).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(answer.header("retry-after").is_some());
        assert!(answer.set_cookies().is_empty(), "{answer:?}");
    }
    assert_eq!(browser.get(&app, "/untouched").await.text, "hello", "it needs no session");
    tap.refuse_reads(false);
    assert_eq!(browser.get(&app, "/read/theme").await.text, "set", "nothing was lost");
}

async fn a_save_that_fails_is_no_success(tap: Arc<Tap>) {
    let app = app(&tap);
    let mut browser = Browser::default();
    browser.get(&app, "/set/theme").await;
    tap.refuse_changes(true);
    for mut browser in [browser.clone(), Browser::default()] {
        let answer = browser.get(&app, "/set/other").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.header("retry-after").is_some());
        assert!(answer.set_cookies().is_empty() && answer.text.is_empty(), "{answer:?}");
    }
    tap.refuse_changes(false);
    assert_eq!(browser.get(&app, "/read/other").await.text, "nothing");
    assert_eq!(browser.get(&app, "/read/theme").await.text, "set");
}

async fn the_application_may_have_a_response_of_its_own(tap: Arc<Tap>) {
    let layer = SessionLayer::new(Arc::clone(&tap)).on_failure(|error| {
        if error.is_transient() {
            (StatusCode::IM_A_TEAPOT, "come back later").into_response()
        } else {
            Redirect::to("/login").into_response()
        }
    });
    let app = routes(&Arc::<Gate>::default()).layer(layer);
    let mut browser = Browser::default();
    browser.get(&app, "/set/theme").await;
    tap.refuse_reads(true);
    tap.refuse_changes(true);
    // The first request fails in the handler, the second one in the layer.
    for path in ["/read/theme", "/set/theme"] {
        let answer = browser.get(&app, path).await;
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (StatusCode::IM_A_TEAPOT, "come back later"),
            "{path}"
        );
    }
}

async fn a_lost_reply_counts_once(tap: Arc<Tap>) {
    let app = app(&tap);
    let mut browser = Browser::default();
    assert_eq!(browser.get(&app, "/count").await.text, "1");
    for expected in 2..12_u32 {
        tap.lose_reply();
        let answer = browser.get(&app, "/count").await;
        assert_eq!((answer.status, answer.text), (StatusCode::OK, expected.to_string()));
    }
    tap.lose_reply();
    assert_eq!(browser.get(&app, "/set/theme").await.status, StatusCode::OK);
    assert_eq!(browser.get(&app, "/read/theme").await.text, "set");
    // The outcome of creating the session is unknown, so no client gets its id.
    tap.lose_reply();
    let answer = Browser::default().get(&app, "/set/theme").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.set_cookies().is_empty(), "{answer:?}");
}

async fn without_a_layer_the_error_says_what_to_do(_: Arc<Tap>) {
    let app = routes(&Arc::<Gate>::default());
    let answer = Browser::default().get(&app, "/read/theme").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.text.contains("SessionLayer"), "{}", answer.text);
}
