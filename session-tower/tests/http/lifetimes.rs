use std::{sync::Arc, time::Duration};

use axum::Router;
use session_tower::{CookieLifetime, CookieSettings, SessionLayer};

use crate::{
    app::{Gate, app, routes},
    cases,
    client::{Answer, Browser},
    store::Tap,
};

cases!("lifetimes":
    a_rotation_keeps_the_lifetime,
    another_owner_begins_with_the_settings,
    an_active_users_cookie_is_renewed,
    a_cookie_of_the_settings_is_renewed,
    a_lifetime_of_nothing_removes_no_cookie,
    a_renewal_that_fails_fails_no_request,
    what_ends_with_the_browser_is_not_renewed,
);

fn max_age(answer: &Answer) -> Option<&str> {
    let [cookie] = answer.set_cookies()[..] else { panic!("one cookie: {answer:?}") };
    cookie.split("; ").find_map(|attribute| attribute.strip_prefix("Max-Age="))
}

async fn a_rotation_keeps_the_lifetime(tap: Arc<Tap>) {
    let app = app(&tap);
    let mut browser = Browser::default();
    assert_eq!(max_age(&browser.get(&app, "/remember/alice").await), Some("86400"));
    for path in ["/rotate", "/login/alice", "/rotate"] {
        assert_eq!(max_age(&browser.get(&app, path).await), Some("86400"), "{path}");
    }
    assert!(browser.get(&app, "/read/theme").await.set_cookies().is_empty(), "it is young");
}

async fn another_owner_begins_with_the_settings(tap: Arc<Tap>) {
    let app = app(&tap);
    let mut browser = Browser::default();
    browser.get(&app, "/remember/alice").await;
    browser.get(&app, "/logout").await;
    assert_eq!(max_age(&browser.get(&app, "/login/bob").await), None);
}

/// Sends requests until the cookie is renewed, which is due after a tenth of its lifetime.
async fn renewed(browser: &mut Browser, app: &Router, path: &str) -> Answer {
    let before = browser.id().map(str::to_owned);
    loop {
        let answer = browser.get(app, path).await;
        if !answer.set_cookies().is_empty() {
            assert_eq!(browser.id().map(str::to_owned), before, "it is the same session");
            return answer;
        }
    }
}

async fn an_active_users_cookie_is_renewed(tap: Arc<Tap>) {
    let app = app(&tap);
    let mut browser = Browser::default();
    assert_eq!(max_age(&browser.get(&app, "/remember-for/10").await), Some("10"));
    for path in ["/read/theme", "/count"] {
        let answer = renewed(&mut browser, &app, path).await;
        assert_eq!(max_age(&answer), Some("10"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(browser.get(&app, path).await.set_cookies().is_empty(), "it is young again");
    }
    assert_eq!(tap.count().await, 1);
}

async fn a_cookie_of_the_settings_is_renewed(tap: Arc<Tap>) {
    let cookie = CookieSettings::default().lifetime(CookieLifetime::Persistent(Duration::from_secs(10)));
    let layer = SessionLayer::new(tap).with_cookie(cookie).expect("a good cookie");
    let app = routes(&Arc::<Gate>::default()).layer(layer);
    let mut browser = Browser::default();
    assert_eq!(max_age(&browser.get(&app, "/set/theme").await), Some("10"));
    for _ in 0..2 {
        assert_eq!(max_age(&renewed(&mut browser, &app, "/read/theme").await), Some("10"));
    }
}

async fn a_lifetime_of_nothing_removes_no_cookie(tap: Arc<Tap>) {
    let app = app(&tap);
    let mut browser = Browser::default();
    assert_eq!(max_age(&browser.get(&app, "/remember-for/0").await), Some("1"));
    assert!(browser.id().is_some());
}

async fn a_renewal_that_fails_fails_no_request(tap: Arc<Tap>) {
    let app = app(&tap);
    let mut browser = Browser::default();
    // With a lifetime this short, nearly every request is due to renew the cookie.
    browser.get(&app, "/remember-for/1").await;
    tap.refuse_changes(true);
    let answer = browser.get(&app, "/read/theme").await;
    assert!(answer.status.is_success(), "{answer:?}");
    assert!(answer.set_cookies().is_empty());
    tap.refuse_changes(false);
    renewed(&mut browser, &app, "/read/theme").await;
}

async fn what_ends_with_the_browser_is_not_renewed(tap: Arc<Tap>) {
    let app = app(&tap);
    let mut browser = Browser::default();
    browser.get(&app, "/login/alice").await;
    let _ = tap.calls();
    assert!(browser.get(&app, "/read/theme").await.set_cookies().is_empty());
    assert_eq!(tap.calls(), 1, "one read");
}
