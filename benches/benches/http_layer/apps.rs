use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, HeaderValue, Request, header::COOKIE, header::SET_COOKIE},
    routing::get,
};
use scc::HashMap;
use session_memory::MemoryStore;
use session_tower::{Session, SessionError, SessionLayer};
use tower::ServiceExt as _;

/// A compared application, with the cookie that its clients send.
pub(crate) struct App {
    pub(crate) name: &'static str,
    pub(crate) router: Router,
    pub(crate) cookie: HeaderValue,
}

/// All applications. The first one has no session.
pub(crate) async fn all() -> Vec<App> {
    let any = HeaderValue::from_static("id=AAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let bare = Router::new().route("/", get(async || "42"));
    let mut all = vec![
        App { name: "no session", router: bare, cookie: any.clone() },
        App { name: "a look-up by hand", router: by_hand(), cookie: any },
        with_cookie("session-tower, not read", ours(false)).await,
        with_cookie("session-tower, one key read", ours(true)).await,
    ];
    #[cfg(feature = "peers")]
    all.push(with_cookie("tower-sessions, one key read", theirs()).await);
    all.shrink_to_fit();
    all
}

/// An application, with the cookie of a session that holds the number.
async fn with_cookie(name: &'static str, router: Router) -> App {
    let request = Request::get("/begin").body(Body::empty()).expect("a request");
    let response = router.clone().oneshot(request).await.expect("it cannot fail");
    let cookie = response.headers()[SET_COOKIE].to_str().expect("text").split(';').next().expect("a pair");
    let cookie = HeaderValue::from_str(cookie).expect("a header");
    App { name, router, cookie }
}

fn ours(read: bool) -> Router {
    let begin = async |session: Session| session.insert("number", &42_u64).map_err(SessionError::from);
    let one_key = async |session: Session| {
        let number = session.get::<u64>("number").await?;
        Ok::<_, SessionError>(number.unwrap_or_default().to_string())
    };
    let route = if read { get(one_key) } else { get(async || "42") };
    let layer = SessionLayer::new(MemoryStore::new());
    Router::new().route("/", route).route("/begin", get(begin)).layer(layer)
}

#[cfg(feature = "peers")]
fn theirs() -> Router {
    use tower_sessions::{MemoryStore, Session, SessionManagerLayer};

    let begin = async |session: Session| session.insert("number", 42_u64).await.expect("it is inserted");
    let one_key = async |session: Session| {
        session.get::<u64>("number").await.expect("it loads").unwrap_or_default().to_string()
    };
    let layer = SessionManagerLayer::new(MemoryStore::default());
    Router::new().route("/", get(one_key)).route("/begin", get(begin)).layer(layer)
}

/// A handwritten alternative: a map of ids, and the id from the cookie.
fn by_hand() -> Router {
    let sessions = Arc::new(HashMap::<String, u64>::new());
    assert!(sessions.insert_sync("AAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(), 42).is_ok());
    let one_key = async move |headers: HeaderMap| {
        let cookies = headers.get(COOKIE).and_then(|cookies| cookies.to_str().ok()).unwrap_or_default();
        let id = cookies.split("; ").find_map(|cookie| cookie.strip_prefix("id=")).unwrap_or_default();
        sessions.read_sync(id, |_, number| number.to_string()).unwrap_or_default()
    };
    Router::new().route("/", get(one_key))
}
