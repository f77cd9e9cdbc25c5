use std::sync::Arc;

use axum::{Router, routing::get};
use session_tower::{Session, SessionLayer};
use tokio::sync::{Mutex, Notify, oneshot};

use crate::{
    app::{Gate, app_with_gate},
    cases,
    client::{self, Browser},
    store::Tap,
};

cases!("late":
    a_task_of_a_first_visitor_stores_nothing_that_no_client_can_reach,
    a_task_stores_nothing_anew_after_a_logout,
    a_task_that_asks_for_the_session_late_stores_nothing,
    a_task_may_save_what_the_client_can_reach,
    a_task_of_a_client_that_has_gone_stores_nothing,
);

/// The result of the save in a task that outlives its handler.
type Outcome = Result<session_tower::session_manager::Saved, session_tower::session_manager::SessionError>;

/// A route that calls `handle`, and spawns a task that saves after the response was sent.
fn app<H: Future<Output = ()> + Send + 'static>(
    tap: &Arc<Tap>,
    handle: impl Fn(Session) -> H + Clone + Send + Sync + 'static,
) -> (Router, Arc<Notify>, oneshot::Receiver<Outcome>) {
    let (sender, receiver) = oneshot::channel();
    let (sender, go) = (Arc::new(Mutex::new(Some(sender))), Arc::new(Notify::new()));
    let handler = {
        let go = Arc::clone(&go);
        async move |session: Session| {
            handle(session.clone()).await;
            tokio::spawn(async move {
                go.notified().await;
                session.insert("late", "by a task").expect("a text");
                let outcome = session.save().await;
                let sender = sender.lock().await.take().expect("it is asked once");
                sender.send(outcome).expect("the test waits");
            });
        }
    };
    let routes = Router::new()
        .route("/spawn", get(handler))
        .route(
            "/login",
            get(async |session: Session| {
                session.login(session_core::Owner::new("alice").expect("an owner")).await.expect("a login");
            }),
        )
        .layer(SessionLayer::new(Arc::clone(tap)));
    (routes, go, receiver)
}

async fn a_task_of_a_first_visitor_stores_nothing_that_no_client_can_reach(tap: Arc<Tap>) {
    let (app, go, outcome) = app(&tap, async |_| {});
    let answer = Browser::default().get(&app, "/spawn").await;
    assert!(answer.set_cookies().is_empty());
    go.notify_one();
    outcome.await.expect("an outcome").expect_err("no client could be told the id");
    assert_eq!(tap.count().await, 0);
}

async fn a_task_stores_nothing_anew_after_a_logout(tap: Arc<Tap>) {
    let (app, go, outcome) = app(&tap, async |session| session.logout().await.expect("a logout"));
    let mut browser = Browser::default();
    browser.get(&app, "/login").await;
    browser.get(&app, "/spawn").await;
    assert_eq!(browser.id(), None);
    go.notify_one();
    outcome.await.expect("an outcome").expect_err("it has ended");
    assert_eq!(tap.count().await, 0);
}

async fn a_task_may_save_what_the_client_can_reach(tap: Arc<Tap>) {
    let (app, go, outcome) = app(&tap, async |session| {
        session.load().await.expect("a read");
    });
    let mut browser = Browser::default();
    browser.get(&app, "/login").await;
    browser.get(&app, "/spawn").await;
    go.notify_one();
    outcome.await.expect("an outcome").expect("the client has the id");
    assert_eq!(tap.count().await, 1);
}

/// The task keeps the head of the request, and takes the session from it after the response.
async fn a_task_that_asks_for_the_session_late_stores_nothing(tap: Arc<Tap>) {
    let (sender, receiver) = oneshot::channel();
    let (sender, go) = (Arc::new(Mutex::new(Some(sender))), Arc::new(Notify::new()));
    let handler = {
        let go = Arc::clone(&go);
        async move |request: axum::extract::Request| {
            let (parts, _) = request.into_parts();
            tokio::spawn(async move {
                go.notified().await;
                let session = Session::of(&parts).expect("there is a layer");
                session.insert("late", "by a task").expect("a text");
                let sender = sender.lock().await.take().expect("it is asked once");
                sender.send(session.save().await).expect("the test waits");
            });
        }
    };
    let app = Router::new().route("/", get(handler)).layer(SessionLayer::new(Arc::clone(&tap)));
    Browser::default().get(&app, "/").await;
    go.notify_one();
    receiver.await.expect("an outcome").expect_err("no client could be told the id");
    assert_eq!(tap.count().await, 0);
}

async fn a_task_of_a_client_that_has_gone_stores_nothing(tap: Arc<Tap>) {
    let gate = Arc::<Gate>::default();
    let (sender, receiver) = oneshot::channel();
    let sender = Arc::new(Mutex::new(Some(sender)));
    let keep = {
        let sender = Arc::clone(&sender);
        async move |session: Session, axum::extract::State(gate): axum::extract::State<Arc<Gate>>| {
            assert!(sender.lock().await.take().expect("once").send(session).is_ok(), "the test waits");
            gate.reached.notify_one();
            std::future::pending::<()>().await;
        }
    };
    let app = Router::new()
        .route("/keep", get(keep))
        .with_state(Arc::clone(&gate))
        .layer(SessionLayer::new(Arc::clone(&tap)));
    let request = tokio::spawn({
        let app = app.clone();
        async move { client::get(&app, "/keep", None).await }
    });
    let session = receiver.await.expect("a session");
    gate.reached.notified().await;
    request.abort();
    assert!(request.await.expect_err("it was dropped").is_cancelled());
    session.insert("late", "by a task").expect("a text");
    session.save().await.expect_err("no client could be told the id");
    assert_eq!(tap.count().await, 0);
    // Clients that stay connected are served as usual.
    let app = app_with_gate(&tap, &gate);
    assert_eq!(Browser::default().get(&app, "/set/theme").await.set_cookies().len(), 1);
}
