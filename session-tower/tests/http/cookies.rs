use std::{sync::Arc, time::Duration};

use session_tower::{CookieLifetime, CookieSettings, SessionLayer};

use crate::{
    app::{Gate, app, routes},
    cases,
    client::{Browser, get},
    store::Tap,
};

cases!("cookies":
    the_flags_are_as_promised,
    a_read_only_request_sets_none,
    an_untouched_session_costs_no_call,
    a_login_rotates_the_id,
    a_failed_request_still_tells_of_its_login,
    remember_me_is_for_one_session,
    all_of_it_can_be_set,
    for_development_it_works_without_tls,
    for_development_counts_in_any_order,
);

async fn the_flags_are_as_promised(tap: Arc<Tap>) {
    let answer = Browser::default().get(&app(&tap), "/set/theme").await;
    let [cookie] = answer.set_cookies()[..] else { panic!("one cookie: {answer:?}") };
    let (pair, attributes) = cookie.split_once("; ").expect("attributes");
    assert!(pair.starts_with("__Host-session=") && pair.len() == "__Host-session=".len() + 28, "{pair}");
    let mut attributes: Vec<_> = attributes.split("; ").collect();
    attributes.sort_unstable();
    assert_eq!(attributes, ["HttpOnly", "Path=/", "SameSite=Lax", "Secure"]);
}

async fn a_read_only_request_sets_none(tap: Arc<Tap>) {
    let app = app(&tap);
    let mut browser = Browser::default();
    assert!(browser.get(&app, "/read/theme").await.set_cookies().is_empty(), "nothing was stored");
    browser.get(&app, "/set/theme").await;
    let _ = tap.calls();
    let answer = browser.get(&app, "/read/theme").await;
    assert_eq!(answer.text, "set");
    assert!(answer.set_cookies().is_empty());
    assert_eq!(tap.calls(), 1, "a read, and no write");
    assert!(browser.get(&app, "/set/theme").await.set_cookies().is_empty(), "the id stays");
}

async fn an_untouched_session_costs_no_call(tap: Arc<Tap>) {
    let app = app(&tap);
    let mut browser = Browser::default();
    browser.get(&app, "/set/theme").await;
    let _ = tap.calls();
    for path in ["/untouched", "/taken"] {
        let answer = browser.get(&app, path).await;
        assert_eq!(answer.text, "hello");
        assert!(answer.set_cookies().is_empty());
        assert_eq!(tap.calls(), 0, "{path}");
    }
}

async fn a_login_rotates_the_id(tap: Arc<Tap>) {
    let app = app(&tap);
    let mut browser = Browser::default();
    browser.get(&app, "/set/theme").await;
    let before = browser.clone();
    let answer = browser.get(&app, "/login/alice").await;
    assert_eq!(answer.set_cookies().len(), 1);
    assert_ne!(browser.id(), before.id());
    assert_eq!(browser.get(&app, "/read/theme").await.text, "set");
    // A late request with the old id finds no session, and removes no cookie.
    let late = get(&app, "/read/theme", before.cookie_header().as_deref().map(str::as_bytes)).await;
    assert_eq!(late.text, "nothing");
    assert!(late.set_cookies().is_empty(), "{late:?}");
    assert_eq!(tap.count().await, 1);
}

async fn a_failed_request_still_tells_of_its_login(tap: Arc<Tap>) {
    let app = app(&tap);
    let mut browser = Browser::default();
    browser.get(&app, "/set/theme").await;
    let answer = browser.get(&app, "/login-and-fail/alice").await;
    assert!(answer.status.is_server_error());
    assert_eq!(answer.set_cookies().len(), 1, "the old id is worth nothing any more");
    assert_eq!(browser.get(&app, "/read/theme").await.text, "set");
}

async fn remember_me_is_for_one_session(tap: Arc<Tap>) {
    let app = app(&tap);
    let cookies = Browser::default().get(&app, "/remember/alice").await;
    assert!(cookies.set_cookies()[0].contains("; Max-Age=86400"), "{cookies:?}");
    let cookies = Browser::default().get(&app, "/login/bob").await;
    assert!(!cookies.set_cookies()[0].contains("Max-Age"), "{cookies:?}");
}

async fn all_of_it_can_be_set(tap: Arc<Tap>) {
    let cookie = CookieSettings::new("shop")
        .path("/set")
        .http_only(false)
        .lifetime(CookieLifetime::Persistent(Duration::from_mins(1)));
    let layer = SessionLayer::new(tap).with_cookie(cookie).expect("a good cookie");
    let app = routes(&Arc::<Gate>::default()).layer(layer);
    let answer = Browser::default().get(&app, "/set/theme").await;
    let cookie = answer.set_cookies()[0];
    assert!(cookie.starts_with("shop=") && cookie.contains("; Path=/set") && cookie.contains("; Max-Age=60"));
    assert!(!cookie.contains("HttpOnly"), "{cookie}");
}

async fn for_development_it_works_without_tls(tap: Arc<Tap>) {
    let app = routes(&Arc::<Gate>::default()).layer(SessionLayer::new(tap).insecure_for_development());
    let mut browser = Browser::default();
    let answer = browser.get(&app, "/set/theme").await;
    let cookie = answer.set_cookies()[0];
    assert!(cookie.starts_with("session=") && !cookie.contains("Secure"), "{cookie}");
    assert_eq!(browser.get(&app, "/read/theme").await.text, "set");
}

async fn for_development_counts_in_any_order(tap: Arc<Tap>) {
    let cookie = || CookieSettings::new("__host-shop");
    let layer = || SessionLayer::new(Arc::clone(&tap));
    let before = layer().insecure_for_development().with_cookie(cookie()).expect("a good cookie");
    let after = layer().with_cookie(cookie()).expect("a good cookie").insecure_for_development();
    for layer in [before, after] {
        let app = routes(&Arc::<Gate>::default()).layer(layer);
        let answer = Browser::default().get(&app, "/set/theme").await;
        let cookie = answer.set_cookies()[0];
        assert!(cookie.starts_with("shop=") && !cookie.contains("Secure"), "{cookie}");
    }
}
