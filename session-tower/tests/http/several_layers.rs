use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    http::StatusCode,
    middleware::{Next, from_fn},
    routing::get,
};
use session_core::Owner;
use session_tower::{
    CookieSettings, NamedSession, Session, SessionCookie, SessionError, SessionLayer, TowerSessionsStore,
};
use tower_sessions::{SessionStore as _, session::Record};

use crate::{
    app::{Gate, routes},
    cases,
    client::{self, Browser},
    store::Tap,
};

cases!("several_layers":
    an_id_opens_nothing_under_another_name,
    both_are_reached_in_one_handler,
    the_inner_one_of_a_layer_finds_the_session_of_the_outer_one,
    the_same_layer_around_another_one_is_found_through_it,
    a_session_may_be_an_option,
    tower_sessions_with_purposes_are_apart,
);

struct Admin;

impl SessionCookie for Admin {
    const NAME: &'static str = "__Host-admin";
}

fn layer(tap: &Arc<Tap>, name: &'static str) -> SessionLayer {
    SessionLayer::new(Arc::clone(tap)).with_cookie(CookieSettings::new(name)).expect("a good cookie")
}

async fn an_id_opens_nothing_under_another_name(tap: Arc<Tap>) {
    let [shop, admin] =
        ["__Host-session", Admin::NAME].map(|name| routes(&Arc::<Gate>::default()).layer(layer(&tap, name)));
    let mut browser = Browser::default();
    browser.get(&shop, "/login/alice").await;
    browser.get(&shop, "/set/theme").await;
    let id = browser.id().expect("an id").to_owned();
    assert_eq!(browser.get(&shop, "/read/theme").await.text, "set");
    let cookie = format!("{}={id}", Admin::NAME);
    assert_eq!(client::get(&admin, "/read/theme", Some(cookie.as_bytes())).await.text, "nothing");
    client::get(&admin, "/logout", Some(cookie.as_bytes())).await;
    assert_eq!(browser.get(&shop, "/read/theme").await.text, "set", "nor does it end anything there");
}

async fn both_are_reached_in_one_handler(tap: Arc<Tap>) {
    for is_insecure in [false, true] {
        let [shop, admin] = ["__Host-session", Admin::NAME].map(|name| {
            if is_insecure { layer(&tap, name).insecure_for_development() } else { layer(&tap, name) }
        });
        let set = async |visitor: Session, admin: NamedSession<Admin>| {
            visitor.login(Owner::new("alice")?).await?;
            admin.insert("level", &3)?;
            Ok::<_, session_tower::session_manager::SessionError>(())
        };
        let read = async |admin: NamedSession<Admin>, request: Request| {
            let (parts, _) = request.into_parts();
            let visitor = Session::named(&parts, "__Host-session").expect("it is around");
            assert!(Session::named(&parts, "other").is_none());
            let same = Session::of(&parts).expect("a layer").owner().await? == visitor.owner().await?;
            Ok::<_, SessionError>(format!(
                "{:?} {:?} {same}",
                visitor.owner().await?.map(|owner| owner.as_str().to_owned()),
                admin.get::<u32>("level").await?,
            ))
        };
        let app = Router::new()
            .route(
                "/set",
                get(async move |visitor, admin| set(visitor, admin).await.map_err(SessionError::from)),
            )
            .route("/read", get(read))
            .layer(shop)
            .layer(admin);
        let mut browser = Browser::default();
        assert_eq!(browser.get(&app, "/set").await.set_cookies().len(), 2);
        assert_eq!(browser.get(&app, "/read").await.text, "Some(\"alice\") Some(3) true");
    }
}

async fn the_inner_one_of_a_layer_finds_the_session_of_the_outer_one(tap: Arc<Tap>) {
    let one = SessionLayer::new(Arc::clone(&tap));
    // A clone, and a layer that was created separately.
    for inner in [one.clone(), SessionLayer::new(Arc::clone(&tap))] {
        let write = async |session: Session| session.insert("inner", "written").map_err(SessionError::from);
        // Runs between the two layers. If they had separate sessions, both would have one to save.
        let between = async |session: Session, request: Request, next: Next| {
            session.insert("outer", "written").map_err(SessionError::from)?;
            Ok::<_, SessionError>(next.run(request).await)
        };
        let app = Router::new()
            .nest("/inner", Router::new().route("/write", get(write)).layer(inner))
            .layer(from_fn(between))
            .merge(routes(&Arc::<Gate>::default()))
            .layer(one.clone());
        let mut browser = Browser::default();
        let _ = tap.calls();
        let answer = browser.get(&app, "/inner/write").await;
        assert_eq!((answer.status, answer.set_cookies().len()), (StatusCode::OK, 1), "{answer:?}");
        assert_eq!(tap.calls(), 1, "one session is stored");
        for key in ["inner", "outer"] {
            assert_eq!(browser.get(&app, &format!("/read/{key}")).await.text, "written");
        }
        assert!(browser.get(&app, "/inner/write").await.set_cookies().is_empty());
    }
}

async fn the_same_layer_around_another_one_is_found_through_it(tap: Arc<Tap>) {
    let [shop, admin] = ["__Host-session", Admin::NAME].map(|name| layer(&tap, name));
    let write = async |session: Session, admin: NamedSession<Admin>| {
        session.insert("inner", "written").map_err(SessionError::from)?;
        admin.insert("level", &3).map_err(SessionError::from)
    };
    let app = Router::new().route("/write", get(write)).layer(shop.clone()).layer(admin).layer(shop.clone());
    let mut browser = Browser::default();
    assert_eq!(browser.get(&app, "/write").await.set_cookies().len(), 2);
    let app = routes(&Arc::<Gate>::default()).layer(shop);
    assert_eq!(browser.get(&app, "/read/inner").await.text, "written", "the innermost layer's name counts");
}

async fn a_session_may_be_an_option(tap: Arc<Tap>) {
    let handler = async |session: Option<Session>, admin: Option<NamedSession<Admin>>| {
        format!("{} {}", session.is_some(), admin.is_some())
    };
    let bare = Router::new().route("/", get(handler));
    assert_eq!(client::get(&bare, "/", None).await.text, "false false");
    let app = bare.layer(SessionLayer::new(tap));
    assert_eq!(client::get(&app, "/", None).await.text, "true false");
}

async fn tower_sessions_with_purposes_are_apart(tap: Arc<Tap>) {
    let [shop, admin] =
        ["shop", "admin"].map(|name| TowerSessionsStore::new(Arc::clone(&tap)).for_purpose(name));
    let mut record = Record {
        id: tower_sessions::session::Id::default(),
        data: [("key".to_owned(), "value".into())].into(),
        expiry_date: time::OffsetDateTime::now_utc() + std::time::Duration::from_mins(1),
    };
    shop.create(&mut record).await.expect("created");
    assert_eq!(admin.load(&record.id).await.expect("an answer"), None);
    assert_eq!(shop.load(&record.id).await.expect("an answer"), Some(record));
}
