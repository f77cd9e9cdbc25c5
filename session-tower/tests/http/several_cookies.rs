use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{
        Request, StatusCode,
        header::{COOKIE, HOST},
    },
};
use session_core::SessionId;
use session_tower::{CookieSettings, SessionLayer};

use crate::{
    app::{Gate, routes},
    cases,
    client::{Answer, Browser, send},
    store::Tap,
};

cases!("several_cookies":
    the_live_one_counts_wherever_it_stands,
    a_login_beside_a_twin_is_a_login,
    a_logout_ends_all_that_are_live,
    the_twin_is_removed,
    one_cookie_removes_no_other,
    an_outage_is_no_empty_session,
);

const DOMAIN: &str = "example.com";

fn app(tap: &Arc<Tap>) -> Router {
    let cookie = CookieSettings::new("shop").domain(DOMAIN);
    let layer = SessionLayer::new(Arc::clone(tap)).with_cookie(cookie).expect("a good cookie");
    routes(&Arc::<Gate>::default()).layer(layer)
}

async fn get(app: &Router, path: &str, ids: &[&str]) -> Answer {
    let cookies: Vec<_> = ids.iter().map(|id| format!("shop={id}")).collect();
    let request = Request::get(path).header(HOST, "www.example.com").header(COOKIE, cookies.join("; "));
    send(app, request.body(Body::empty()).expect("a request")).await
}

/// The id in the response's cookie.
fn id(answer: &Answer) -> String {
    let cookie = answer.set_cookies()[0];
    let (id, _) = cookie.strip_prefix("shop=").and_then(|rest| rest.split_once(';')).expect("an id");
    assert_eq!(id.len(), 28, "{cookie}");
    id.to_owned()
}

fn unknown() -> String {
    SessionId::generate().expose().as_str().to_owned()
}

async fn the_live_one_counts_wherever_it_stands(tap: Arc<Tap>) {
    let app = app(&tap);
    let live = id(&get(&app, "/set/theme", &[]).await);
    for ids in [
        [&*live, &unknown(), &unknown()],
        [&unknown(), &live, "broken"],
        ["", &unknown(), &live],
        [&live, &live, &live],
    ] {
        let answer = get(&app, "/read/theme", &ids).await;
        assert_eq!((answer.status, &*answer.text), (StatusCode::OK, "set"));
        assert!(answer.set_cookies().is_empty(), "a page that is only read sets none");
    }
    assert_eq!(get(&app, "/read/theme", &[&unknown(), &unknown()]).await.text, "nothing");
}

async fn a_login_beside_a_twin_is_a_login(tap: Arc<Tap>) {
    let app = app(&tap);
    // The other cookie holds a stale id, or the id of an attacker's session.
    let planted = id(&get(&app, "/login/mallory", &[]).await);
    for twin in [unknown(), planted] {
        let mut other = unknown();
        for _ in 0..3 {
            let answer = get(&app, "/login/alice", &[&twin, &other]).await;
            assert_eq!(answer.status, StatusCode::OK);
            other = id(&answer);
            get(&app, "/set/theme", &[&twin, &other]).await;
            let text = get(&app, "/read/theme", &[&twin, &other]).await.text;
            assert_eq!(text, "set", "the browser is logged in, and not asked to again");
        }
    }
}

async fn a_logout_ends_all_that_are_live(tap: Arc<Tap>) {
    let app = app(&tap);
    let [first, second] =
        [id(&get(&app, "/login/alice", &[]).await), id(&get(&app, "/login/alice", &[]).await)];
    assert_eq!(tap.count().await, 2);
    let answer = get(&app, "/logout", &[&unknown(), &first, &second]).await;
    assert_eq!(answer.text, "bye");
    assert_eq!(tap.count().await, 0, "none is alive behind the other");
    assert!(answer.set_cookies().len() > 1 && answer.set_cookies().iter().all(|it| it.contains("Max-Age=0")));
}

async fn the_twin_is_removed(tap: Arc<Tap>) {
    let app = app(&tap);
    // A cookie from earlier settings, without a domain.
    let old = unknown();
    let answer = get(&app, "/login/alice", &[&old, &unknown()]).await;
    let cookies = answer.set_cookies();
    let set: Vec<_> = cookies.iter().filter(|cookie| !cookie.contains("Max-Age=0")).collect();
    assert!(set.len() == 1 && set[0].contains("Domain=example.com"), "{cookies:?}");
    let removed = |domain: &str| {
        cookies.iter().any(|cookie| {
            cookie.starts_with("shop=;") && cookie.contains("Max-Age=0") && cookie.contains(domain)
        })
    };
    assert!(removed("Domain=www.example.com"), "{cookies:?}");
    assert!(cookies.iter().any(|it| it.contains("Max-Age=0") && !it.contains("Domain")), "{cookies:?}");
    assert!(!removed("Domain=example.com"), "what was just set stays: {cookies:?}");
}

async fn one_cookie_removes_no_other(tap: Arc<Tap>) {
    let app = app(&tap);
    let first = id(&get(&app, "/set/theme", &[]).await);
    let second = get(&app, "/login/alice", &[&first]).await;
    assert_eq!(second.set_cookies().len(), 1);
    assert_eq!(get(&app, "/logout", &[&id(&second)]).await.set_cookies().len(), 1);
    // A name that only one host can set has no duplicates.
    let app = crate::app::app(&tap);
    let mut browser = Browser::default();
    browser.get(&app, "/set/theme").await;
    let cookie = format!("{}; __Host-session={}", browser.cookie_header().expect("a cookie"), unknown());
    let answer = crate::client::get(&app, "/login/alice", Some(cookie.as_bytes())).await;
    assert_eq!(answer.set_cookies().len(), 1);
}

async fn an_outage_is_no_empty_session(tap: Arc<Tap>) {
    let app = app(&tap);
    let live = id(&get(&app, "/set/theme", &[]).await);
    tap.refuse_reads(true);
    let answer = get(&app, "/read/theme", &[&unknown(), &live]).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
}
