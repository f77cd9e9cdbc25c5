use std::sync::Arc;

use crate::{app::app, cases, client::Browser, store::Tap};

cases!("caching":
    a_response_that_sets_a_cookie_is_not_for_caches,
    what_the_handler_says_is_kept_if_it_is_safe,
    what_depends_on_the_session_varies,
    what_is_an_owners_is_private,
    what_is_a_guests_is_private_unless_the_handler_says_something,
    what_is_of_no_session_is_not_touched,
);

async fn a_response_that_sets_a_cookie_is_not_for_caches(tap: Arc<Tap>) {
    let app = app(&tap);
    let answer = Browser::default().get(&app, "/set/theme").await;
    assert_eq!(answer.set_cookies().len(), 1);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("vary"), Some("cookie"));
}

async fn what_the_handler_says_is_kept_if_it_is_safe(tap: Arc<Tap>) {
    let app = app(&tap);
    for (said, sent) in [
        ("private, max-age=60", "private, max-age=60"),
        ("No-Store", "No-Store"),
        ("public, max-age=3600", "no-store"),
        ("max-age=3600", "no-store"),
    ] {
        let path = format!("/cached/{}", said.replace(' ', "%20"));
        let answer = Browser::default().get(&app, &path).await;
        assert_eq!(answer.header("cache-control"), Some(sent), "the handler said {said}");
    }
    // Without a new cookie, the handler decides.
    let mut browser = Browser::default();
    browser.get(&app, "/set/theme").await;
    let answer = browser.get(&app, "/cached/public").await;
    assert_eq!(answer.header("cache-control"), Some("public"));
}

async fn what_depends_on_the_session_varies(tap: Arc<Tap>) {
    let app = app(&tap);
    let mut browser = Browser::default();
    assert_eq!(browser.get(&app, "/read/theme").await.header("vary"), Some("cookie"));
    assert_eq!(browser.get(&app, "/untouched").await.header("vary"), None);
}

async fn what_is_an_owners_is_private(tap: Arc<Tap>) {
    let app = app(&tap);
    let mut browser = Browser::default();
    browser.get(&app, "/login/alice").await;
    let answer = browser.get(&app, "/read/theme").await;
    assert!(answer.set_cookies().is_empty());
    assert_eq!(answer.header("cache-control"), Some("private"));
    assert_eq!(answer.header("vary"), Some("cookie"));
    for (said, sent) in [
        ("max-age=60", "private, max-age=60"),
        ("public, max-age=60", "private, max-age=60"),
        ("Public, S-MaxAge=60, no-transform", "private, no-transform"),
        ("no-cache", "private, no-cache"),
        ("private, max-age=60", "private, max-age=60"),
        ("no-store", "no-store"),
    ] {
        let path = format!("/read-cached/{}", said.replace(' ', "%20"));
        assert_eq!(
            browser.get(&app, &path).await.header("cache-control"),
            Some(sent),
            "the handler said {said}"
        );
    }
}

async fn what_is_a_guests_is_private_unless_the_handler_says_something(tap: Arc<Tap>) {
    let app = app(&tap);
    let mut browser = Browser::default();
    browser.get(&app, "/set/theme").await;
    assert_eq!(browser.get(&app, "/read/theme").await.header("cache-control"), Some("private"));
    let answer = browser.get(&app, "/read-cached/max-age=60").await;
    assert_eq!(answer.header("cache-control"), Some("max-age=60"));
}

async fn what_is_of_no_session_is_not_touched(tap: Arc<Tap>) {
    let app = app(&tap);
    let mut browser = Browser::default();
    // First there is no session, then one that is not read.
    assert_eq!(browser.get(&app, "/read/theme").await.header("cache-control"), None);
    browser.get(&app, "/login/alice").await;
    assert_eq!(browser.get(&app, "/taken").await.header("cache-control"), None);
    assert_eq!(browser.get(&app, "/untouched").await.header("cache-control"), None);
}
