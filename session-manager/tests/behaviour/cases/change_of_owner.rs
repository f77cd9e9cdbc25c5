//! What a login keeps of the session that it takes over.

use std::time::Duration;

use session_core::{OwnerIndex, SessionId, SessionStore};
use session_manager::{Session, payload::Payload};

use crate::support::{Context, owner};

super::cases![
    another_owner_gets_nothing_of_the_first,
    another_owner_gets_what_is_named,
    the_same_owner_keeps_all,
    what_a_visitor_has_collected_stays,
    what_is_saved_during_the_login_stays_behind,
    what_is_named_and_changed_during_the_login_goes_over,
    an_owner_who_comes_in_during_the_login_leaves_nothing,
];

const LONG: Duration = Duration::from_hours(24 * 300);

/// A stored session of alice's with two values, a label and timeouts.
async fn alices(context: &Context) -> (Session, SessionId) {
    let session = context.manager().create();
    session.login(owner("alice")).await.expect("a login");
    session.insert("note", "alice's").expect("text");
    session.insert("cart", "book").expect("text");
    session.set_label("alice's telephone");
    session.set_timeouts(LONG, LONG).expect("timeouts");
    session.save().await.expect("a save");
    let id = session.id().expect("it is live");
    (session, id)
}

/// The payload in the store, whatever the handle shows.
async fn stored(context: &Context, session: &Session) -> Payload {
    let key = session.key().expect("it is live");
    let record = context.tap.read(&key).await.expect("a read").expect("it is live");
    assert!(!record.data.windows(7).any(|part| part == b"alice's"), "nothing of hers is in the bytes");
    Payload::decode(record.data).expect("a payload")
}

async fn another_owner_gets_nothing_of_the_first(context: Context) {
    for cold in [false, true] {
        let (session, id) = alices(&context).await;
        let session = if cold { context.manager().open(Some(id.clone())) } else { session };
        session.insert("name", "bob").expect("text");
        session.login(owner("bob")).await.expect("a login");
        assert_eq!(session.keys().await.expect("loaded"), ["name"]);
        assert_eq!(session.get::<String>("note").await.expect("loaded"), None);
        assert!(session.expires_in().await.expect("loaded").expect("stored") < LONG / 2);
        let payload = stored(&context, &session).await;
        assert_eq!(payload.keys().collect::<Vec<_>>(), ["name"]);
        assert_eq!(payload.label(), None);
        let next = context.load(&session.id().expect("it is live")).await;
        assert!(next.expires_in().await.expect("loaded").expect("stored") < LONG / 2);
        assert!(!context.is_live(&id).await);
    }
}

async fn another_owner_gets_what_is_named(context: Context) {
    let (session, _) = alices(&context).await;
    session.set_label("bob's laptop");
    session.login(owner("bob")).keep(&["cart", "never there"]).await.expect("a login");
    assert_eq!(session.keys().await.expect("loaded"), ["cart"]);
    let payload = stored(&context, &session).await;
    assert_eq!(payload.get::<String>("cart").expect("text").as_deref(), Some("book"));
    assert_eq!(payload.label(), Some("bob's laptop"), "what was set for the login is part of it");
    assert_eq!(context.manager().sessions_of(&owner("alice")).await.expect("a list"), []);
}

async fn the_same_owner_keeps_all(context: Context) {
    for kept in [&[][..], &["cart"]] {
        let (session, _) = alices(&context).await;
        session.login(owner("alice")).keep(kept).await.expect("a login");
        assert_eq!(session.keys().await.expect("loaded"), ["cart", "note"]);
        assert!(session.expires_in().await.expect("loaded").expect("stored") > LONG / 2);
        let devices = context.manager().sessions_of(&owner("alice")).await.expect("a list");
        assert_eq!(devices[0].label.as_deref(), Some("alice's telephone"));
    }
}

async fn what_a_visitor_has_collected_stays(context: Context) {
    let (session, _) = context.stored(&context.manager()).await;
    session.set_label("a telephone");
    session.save().await.expect("a save");
    session.login(owner("bob")).keep(&["cart"]).await.expect("a login");
    assert_eq!(session.keys().await.expect("loaded"), ["greeting"]);
    assert_eq!(stored(&context, &session).await.label(), Some("a telephone"));
}

async fn what_is_saved_during_the_login_stays_behind(context: Context) {
    let (session, id) = alices(&context).await;
    let rival = context.load(&id).await;
    context.tap.before_change.set(async move {
        rival.insert("late", "alice's").expect("text");
        rival.set_label("alice's tablet");
        rival.save().await.expect("it comes before the login");
    });
    session.insert("name", "bob").expect("text");
    session.login(owner("bob")).await.expect("a login");
    let payload = stored(&context, &session).await;
    assert_eq!(payload.keys().collect::<Vec<_>>(), ["name"]);
    assert_eq!(payload.label(), None);
}

async fn what_is_named_and_changed_during_the_login_goes_over(context: Context) {
    let (session, id) = alices(&context).await;
    let rival = context.load(&id).await;
    context.tap.before_change.set(async move {
        rival.insert("late", "alice's").expect("text");
        rival.insert("cart", "pen").expect("text");
        rival.save().await.expect("it comes before the login");
    });
    session.login(owner("bob")).keep(&["cart"]).await.expect("a login");
    let payload = stored(&context, &session).await;
    assert_eq!(payload.keys().collect::<Vec<_>>(), ["cart"]);
    assert_eq!(payload.get::<String>("cart").expect("text").as_deref(), Some("pen"));
}

/// The session has no owner when the login reads it, but is alice's when the login is carried out.
async fn an_owner_who_comes_in_during_the_login_leaves_nothing(context: Context) {
    use session_core::{OwnerChange, Ttl, When, Write};
    let (session, id) = context.stored(&context.manager()).await;
    let (tap, hers) = (context.tap.clone(), alices(&context).await.0);
    let data = tap.read(&hers.key().expect("live")).await.expect("a read").expect("live").data;
    context.tap.before_change.set(async move {
        let write = Write::new(data, Ttl::MAX).owner(OwnerChange::Set(owner("alice")));
        assert!(tap.write(&id.key(), write, When::Any).await.expect("a write").is_written());
    });
    session.login(owner("bob")).await.expect("a login");
    let payload = stored(&context, &session).await;
    assert_eq!(payload.keys().collect::<Vec<_>>(), [""; 0]);
    let owners: &dyn OwnerIndex = context.tap.owners().expect("an index");
    assert_eq!(owners.list(&owner("bob")).await.expect("a list"), [session.key().expect("live")]);
}
