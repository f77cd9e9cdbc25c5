//! What a task may do with a session after its response was sent.

use session_core::SessionStore;
use session_manager::{CookieChange, Saved, Session, SessionError};

use crate::support::{Context, owner};

super::cases![
    no_session_begins_after_the_response,
    nothing_begins_anew_after_a_logout_and_the_response,
    a_session_that_the_client_has_goes_on,
    no_new_id_after_the_response,
    what_was_on_its_way_when_the_response_left_is_ended,
    a_login_on_its_way_when_the_response_left_is_ended,
];

fn too_late<T: std::fmt::Debug>(result: Result<T, SessionError>, keys: &[&str]) {
    match result {
        Err(SessionError::TooLate { unsaved }) => assert_eq!(unsaved, keys),
        other => panic!("{other:?}"),
    }
}

async fn stored(context: &Context) -> u64 {
    match context.tap.maintenance() {
        Some(maintenance) => maintenance.count().await.expect("a count"),
        None => 0,
    }
}

async fn no_session_begins_after_the_response(context: Context) {
    let manager = context.manager();
    for session in [manager.create(), manager.open(Some(session_core::SessionId::generate()))] {
        session.insert("n", &1).expect("a number");
        let task = session.clone();
        session.response_sent();
        assert_eq!(session.cookie_change(), CookieChange::Keep);
        too_late(task.save().await, &["n"]);
        too_late(task.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await, &["n"]);
        too_late(task.login(owner("alice")).await, &["n"]);
        task.rotate().await.expect("there is nothing to rotate");
        assert!(task.is_changed() && task.id().is_none());
    }
    assert_eq!(stored(&context).await, 0);
}

async fn nothing_begins_anew_after_a_logout_and_the_response(context: Context) {
    let (_, id) = context.stored(&context.manager()).await;
    let session = context.load(&id).await;
    session.response_sent();
    let task = session.clone();
    task.logout().await.expect("what the client has can be ended at any time");
    task.insert("farewell", "bye").expect("text");
    too_late(task.save().await, &["farewell"]);
    assert_eq!(stored(&context).await, 0);
}

async fn a_session_that_the_client_has_goes_on(context: Context) {
    let manager = context.manager();
    let first = manager.create();
    first.insert("n", &1).expect("a number");
    first.save().await.expect("a save in time");
    first.response_sent();
    let CookieChange::Set(id) = first.cookie_change() else { panic!("the response must tell the id") };
    let second = manager.open(Some(id.clone()));
    second.response_sent();
    for session in [first, second] {
        session.insert("n", &2).expect("a number");
        assert_eq!(session.save().await.expect("the client has its id"), Saved::Written);
        session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await.expect("the client has its id");
    }
    assert_eq!(context.load(&id).await.get::<u32>("n").await.expect("loaded"), Some(3));
}

async fn no_new_id_after_the_response(context: Context) {
    let (session, id) = context.stored(&context.manager()).await;
    session.insert("draft", &1).expect("a number");
    session.response_sent();
    too_late(session.rotate().await, &["draft"]);
    too_late(session.login(owner("alice")).await, &["draft"]);
    assert_eq!(session.id(), Some(id.clone()));
    session.save().await.expect("a save");
    assert_eq!(context.load(&id).await.owner().await.expect("loaded"), None);
}

/// Sends the response after the store has carried out the next change, and before the reply
/// arrives.
fn respond_meanwhile(context: &Context, session: &Session) {
    let session = session.clone();
    context.tap.before_reply.set(async move { session.response_sent() });
}

async fn what_was_on_its_way_when_the_response_left_is_ended(context: Context) {
    let session = context.manager().create();
    session.insert("n", &1).expect("a number");
    respond_meanwhile(&context, &session);
    too_late(session.save().await, &["n"]);
    assert_eq!(session.cookie_change(), CookieChange::Keep);
    assert_eq!(stored(&context).await, 0);
    let session = context.manager().create();
    respond_meanwhile(&context, &session);
    too_late(session.login(owner("alice")).await, &[]);
    assert_eq!(context.manager().sessions_of(&owner("alice")).await.expect("a list"), []);
}

async fn a_login_on_its_way_when_the_response_left_is_ended(context: Context) {
    let (_, id) = context.stored(&context.manager()).await;
    for login in [true, false] {
        let id = if login { id.clone() } else { context.stored(&context.manager()).await.1 };
        let session = context.load(&id).await;
        respond_meanwhile(&context, &session);
        let moved = if login { session.login(owner("alice")).await } else { session.rotate().await };
        too_late(moved, &[]);
        assert!(!context.is_live(&id).await, "the old id is worth nothing");
        assert_eq!(session.cookie_change(), CookieChange::Keep);
        assert!(session.load().await.expect_err("it has ended").is_gone());
        assert_eq!(stored(&context).await, 0);
    }
    assert_eq!(context.manager().sessions_of(&owner("alice")).await.expect("a list"), []);
}
