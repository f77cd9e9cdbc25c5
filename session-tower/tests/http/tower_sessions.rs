use std::{sync::Arc, time::Duration};

use axum::{Router, http::StatusCode, routing::get};
use session_tower::TowerSessionsStore;
use tokio::sync::Notify;
use tower_sessions::{Expiry, Session, SessionManagerLayer, SessionStore as _, session::Record};

use crate::{
    cases,
    client::{self, Browser},
    store::Tap,
};

cases!("tower_sessions": their_routes_work, deleted_stays_deleted, what_ends_while_it_is_saved_stays_ended, a_slow_request_revives_nothing, an_outage_is_an_error, their_records_come_back, what_cannot_be_read_is_not_quoted);

/// An application as in the documentation and examples of `tower-sessions`.
fn app(tap: &Arc<Tap>, gate: &Arc<[Notify; 2]>) -> Router {
    let gate = Arc::clone(gate);
    let slowly = async move |session: Session| {
        session.insert("late", 1).await.expect("it loads");
        gate[0].notify_one();
        gate[1].notified().await;
    };
    let layer = SessionManagerLayer::new(TowerSessionsStore::new(Arc::clone(tap)))
        .with_expiry(Expiry::OnInactivity(tower_sessions::cookie::time::Duration::seconds(600)));
    Router::new()
        .route(
            "/",
            get(async |session: Session| {
                let counter: usize = session.get("counter").await.expect("it loads").unwrap_or_default();
                session.insert("counter", counter + 1).await.expect("it is inserted");
                counter.to_string()
            }),
        )
        .route("/cycle", get(async |session: Session| session.cycle_id().await.expect("it is renamed")))
        .route("/flush", get(async |session: Session| session.flush().await.expect("it is deleted")))
        .route("/slowly", get(slowly))
        .layer(layer)
}

async fn their_routes_work(tap: Arc<Tap>) {
    let app = app(&tap, &Arc::default());
    let mut browser = Browser::default();
    for expected in ["0", "1", "2"] {
        assert_eq!(browser.get(&app, "/").await.text, expected);
    }
    let before = browser.cookie_header();
    browser.get(&app, "/cycle").await;
    assert_ne!(browser.cookie_header(), before);
    assert_eq!(browser.get(&app, "/").await.text, "3");
    let old = client::get(&app, "/", before.as_deref().map(str::as_bytes)).await;
    assert_eq!(old.text, "0", "the old id is worth nothing");
    browser.get(&app, "/flush").await;
    assert_eq!(browser.get(&app, "/").await.text, "0");
}

fn record() -> Record {
    let expiry_date = time::OffsetDateTime::now_utc() + Duration::from_mins(1);
    let data = [("key".to_owned(), "value".into()), ("list".to_owned(), vec![1, 2, 3].into())].into();
    Record { id: tower_sessions::session::Id::default(), data, expiry_date }
}

async fn deleted_stays_deleted(tap: Arc<Tap>) {
    let store = TowerSessionsStore::new(Arc::clone(&tap));
    let mut record = record();
    store.create(&mut record).await.expect("created");
    store.save(&record).await.expect("saved");
    store.delete(&record.id).await.expect("deleted");
    let error = store.save(&record).await.expect_err("it has ended");
    assert!(error.to_string().contains("has ended"), "{error}");
    assert_eq!(store.load(&record.id).await.expect("an answer"), None);
    assert_eq!(tap.count().await, 0);
}

async fn what_ends_while_it_is_saved_stays_ended(tap: Arc<Tap>) {
    let store = TowerSessionsStore::new(Arc::clone(&tap));
    let mut record = record();
    store.create(&mut record).await.expect("created");
    tap.end_after_read();
    store.save(&record).await.expect_err("it has ended");
    assert_eq!(tap.count().await, 0);
}

async fn a_slow_request_revives_nothing(tap: Arc<Tap>) {
    let gate = Arc::<[Notify; 2]>::default();
    let app = app(&tap, &gate);
    let mut browser = Browser::default();
    browser.get(&app, "/").await;
    let cookie = browser.cookie_header();
    let slow = tokio::spawn({
        let app = app.clone();
        async move { client::get(&app, "/slowly", cookie.as_deref().map(str::as_bytes)).await }
    });
    gate[0].notified().await;
    browser.get(&app, "/flush").await;
    gate[1].notify_one();
    assert_eq!(slow.await.expect("no panic").status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(tap.count().await, 0, "nothing is alive again");
}

async fn an_outage_is_an_error(tap: Arc<Tap>) {
    let store = TowerSessionsStore::new(Arc::clone(&tap));
    let mut record = record();
    store.create(&mut record).await.expect("created");
    tap.refuse_reads(true);
    store.load(&record.id).await.expect_err("never nothing");
    store.save(&record).await.expect_err("not saved");
    tap.refuse_reads(false);
    tap.refuse_changes(true);
    store.delete(&record.id).await.expect_err("not deleted");
    tap.refuse_changes(false);
    assert_eq!(store.load(&record.id).await.expect("an answer"), Some(record));
}

async fn their_records_come_back(tap: Arc<Tap>) {
    let store = TowerSessionsStore::new(Arc::clone(&tap));
    let mut first = record();
    store.create(&mut first).await.expect("created");
    // The id is taken: the second record gets another one, and the first record is unchanged.
    let mut second = Record { data: [("other".to_owned(), true.into())].into(), ..first.clone() };
    store.create(&mut second).await.expect("created");
    assert_ne!(second.id, first.id);
    assert_eq!(store.load(&first.id).await.expect("an answer"), Some(first.clone()));
    assert_eq!(store.load(&second.id).await.expect("an answer"), Some(second));
    // A record that is saved with an expiry date in the past has ended.
    let ended = Record { expiry_date: time::OffsetDateTime::UNIX_EPOCH, ..first.clone() };
    store.save(&ended).await.expect("saved");
    assert_eq!(store.load(&first.id).await.expect("an answer"), None);
}

async fn what_cannot_be_read_is_not_quoted(tap: Arc<Tap>) {
    use session_core::{SessionStore, Ttl, When, Write};
    let store = TowerSessionsStore::new(Arc::clone(&tap));
    let mut record = record();
    store.create(&mut record).await.expect("created");
    let maintenance = tap.maintenance().expect("all of them have it");
    let mut page = maintenance.page(None, 1).await.expect("a page");
    while page.records.is_empty() {
        page = maintenance.page(page.next, 1).await.expect("a page");
    }
    let key = page.records[0].0;
    // A MessagePack string of seven characters, in place of a session.
    let write = Write::new(b"\xa7hunter2".to_vec(), Ttl::MAX);
    assert!(SessionStore::write(&tap, &key, write, When::Any).await.expect("a write").is_written());
    let error = store.load(&record.id).await.expect_err("it is no session");
    assert!(error.to_string().contains("damaged"), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
}
