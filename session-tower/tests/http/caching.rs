use std::sync::Arc;

use crate::{app::app, cases, client::Browser, store::Tap};

cases!("caching": a_response_that_sets_a_cookie_is_not_for_caches, what_the_handler_says_is_kept_if_it_is_safe, what_depends_on_the_session_varies);

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
    // Without a new cookie, it is the handler's business.
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
