//! The layer in typical stacks of applications: they must compile, and return the expected
//! responses.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, Response, StatusCode, header::SET_COOKIE},
    response::IntoResponse as _,
    routing::get,
};
use http_body_util::{BodyExt as _, Full};
use session_core::Bytes;
use session_memory::MemoryStore;
use session_tower::{CookieSettings, EmptyResponse, Session, SessionError, SessionLayer};
use tower::{Layer as _, Service, ServiceBuilder, ServiceExt as _, service_fn};
use tower_http::{
    catch_panic::CatchPanicLayer, compression::CompressionLayer, limit::RequestBodyLimitLayer,
    timeout::TimeoutLayer, trace::TraceLayer,
};

async fn count(session: Session) -> Result<String, SessionError> {
    Ok(session.update("count", |n: Option<u64>| n.unwrap_or(0) + 1).await?.to_string())
}

/// Sends a request for this path. Returns the status, the number of cookies that are set, and the
/// text.
async fn ask<S, B>(service: S, path: &str) -> (StatusCode, usize, String)
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    B: axum::body::HttpBody<Data = Bytes, Error: std::fmt::Debug>,
{
    let response = service.oneshot(Request::get(path).body(Body::empty()).expect("a request")).await;
    let (parts, body) = response.expect("it cannot fail").into_parts();
    let bytes = body.collect().await.expect("a body").to_bytes();
    let cookies = parts.headers.get_all(SET_COOKIE).iter().count();
    (parts.status, cookies, String::from_utf8(bytes.to_vec()).expect("text"))
}

fn timeout() -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_mins(1))
}

#[tokio::test]
async fn a_router_with_layers_of_tower_http_inside_and_outside() {
    let sessions = SessionLayer::new(MemoryStore::new());
    let stack = ServiceBuilder::new()
        .layer(TraceLayer::new_for_http())
        .layer(RequestBodyLimitLayer::new(4096))
        .layer(CompressionLayer::new())
        .layer(sessions.clone())
        .layer(TraceLayer::new_for_http())
        .layer(RequestBodyLimitLayer::new(4096))
        .layer(CatchPanicLayer::new())
        .layer(timeout());
    let app: Router = Router::new().route("/", get(count)).layer(stack);
    assert_eq!(ask(app, "/").await, (StatusCode::OK, 1, "1".to_owned()));

    let app: Router = Router::new()
        .route("/", get(count))
        .layer(ServiceBuilder::new().layer(sessions.clone()).layer(TraceLayer::new_for_http()));
    assert_eq!(ask(app, "/").await, (StatusCode::OK, 1, "1".to_owned()));

    let app: Router = Router::new()
        .route("/", get(count))
        .route_layer(ServiceBuilder::new().layer(sessions).layer(RequestBodyLimitLayer::new(4096)));
    assert_eq!(ask(app, "/").await, (StatusCode::OK, 1, "1".to_owned()));
}

#[tokio::test]
async fn two_layers_and_the_responses_of_the_application() {
    let store = MemoryStore::new();
    let admin = SessionLayer::new(store.clone()).with_cookie(CookieSettings::new("admin")).expect("a cookie");
    let sessions = SessionLayer::new(store)
        .on_failure(|error| (StatusCode::IM_A_TEAPOT, error.to_string()).into_response());
    let fail = async |_: Session| -> Result<(), SessionError> {
        Err(session_tower::session_manager::SessionError::Contended { attempts: 3 }.into())
    };
    let app: Router = Router::new().route("/", get(count)).route("/fail", get(fail)).layer(
        ServiceBuilder::new()
            .layer(admin)
            .layer(sessions)
            .layer(TraceLayer::new_for_http())
            .layer(RequestBodyLimitLayer::new(4096)),
    );
    assert_eq!(ask(app.clone(), "/").await, (StatusCode::OK, 1, "1".to_owned()));
    assert_eq!(ask(app, "/fail").await.0, StatusCode::IM_A_TEAPOT);
}

/// Without axum: any body works, even one without a default.
#[tokio::test]
async fn a_service_of_tower() {
    struct NoDefault(Full<Bytes>);

    impl axum::body::HttpBody for NoDefault {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
            std::pin::Pin::new(&mut self.0).poll_frame(context)
        }
    }

    let handle = async |request: Request<Body>| {
        let (parts, _) = request.into_parts();
        let session = Session::of(&parts).expect("there is a layer");
        session.insert("key", "value").expect("a text");
        Ok::<_, Infallible>(Response::new(NoDefault(Full::from("done"))))
    };
    let service = SessionLayer::new(MemoryStore::new()).layer(service_fn(handle));
    assert_eq!(ask(service, "/").await, (StatusCode::OK, 1, "done".to_owned()));
}

/// A body with a default still has one outside of the layer, as outer layers may need.
#[test]
fn a_body_with_a_default_keeps_it() {
    fn has_default<B: Default>() {}
    type Failure = <EmptyResponse as session_tower::FailureResponse<Body>>::Body;
    has_default::<session_tower::ResponseBody<Body, Failure>>();
}
