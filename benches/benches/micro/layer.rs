use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Request, header::COOKIE, header::SET_COOKIE},
    routing::get,
};
use criterion::Criterion;
use session_memory::MemoryStore;
use session_tower::{Session, SessionError, SessionLayer};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

fn request(path: &str, cookie: Option<&HeaderValue>) -> Request<Body> {
    let mut request = Request::get(path).body(Body::empty()).expect("a request");
    if let Some(cookie) = cookie {
        request.headers_mut().insert(COOKIE, cookie.clone());
    }
    request
}

fn app() -> Router {
    let visit = async |session: Session| {
        let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1).await?;
        Ok::<_, SessionError>(visits.to_string())
    };
    let read = async |session: Session| {
        Ok::<_, SessionError>(session.get::<u64>("visits").await?.unwrap_or_default().to_string())
    };
    let layer = SessionLayer::new(MemoryStore::new());
    Router::new()
        .route("/none", get(async || "42"))
        .route("/read", get(read))
        .route("/visit", get(visit))
        .layer(layer)
}

/// The cookie of a session after one visit.
fn cookie(runtime: &Runtime, app: &Router) -> HeaderValue {
    let response = runtime.block_on(app.clone().oneshot(request("/visit", None))).expect("it cannot fail");
    let cookie = response.headers()[SET_COOKIE].to_str().expect("text").split(';').next().expect("a pair");
    HeaderValue::from_str(cookie).expect("a header")
}

/// A request through a router, without a network: bare, and with the layer.
pub(crate) fn benchmarks(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let app = app();
    let cookie = cookie(&runtime, &app);
    let bare = Router::new().route("/none", get(async || "42"));
    let mut group = criterion.benchmark_group("layer");
    let mut one = |name: &str, app: &Router, path: &str, cookie: Option<&HeaderValue>| {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let response =
                    runtime.block_on(app.clone().oneshot(request(path, cookie))).expect("it cannot fail");
                assert!(response.status().is_success());
            });
        });
    };
    one("no layer", &bare, "/none", Some(&cookie));
    one("the session is not used", &app, "/none", Some(&cookie));
    one("one value is read", &app, "/read", Some(&cookie));
    one("one value is updated", &app, "/visit", Some(&cookie));
    one("a new session", &app, "/visit", None);
    group.finish();
}
