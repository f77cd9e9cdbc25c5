use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use session_core::{ErrorKind, SessionId, SessionStore, Ttl, When, Write};
use session_manager::{CookieChange, SessionError};

use crate::support::{Context, owner};

super::cases![
    an_outage_is_an_error_and_never_an_empty_session,
    a_lost_reply_to_a_login_gives_nobody_the_new_id,
    what_cannot_be_read_is_never_overwritten,
    too_large_is_said_and_changes_nothing,
    one_bad_value_harms_no_other,
    settings_that_make_no_sense_are_refused,
];

fn kind(error: &SessionError) -> ErrorKind {
    match error {
        SessionError::Store(error) => error.kind(),
        other => panic!("{other:?}"),
    }
}

async fn an_outage_is_an_error_and_never_an_empty_session(context: Context) {
    let manager = context.manager();
    let (live, id) = context.stored(&manager).await;
    context.tap.down.store(true, Relaxed);
    let session = manager.open(Some(id.clone()));
    let unavailable = ErrorKind::Unavailable { may_have_applied: false };
    let error = session.get::<String>("greeting").await.expect_err("the store is down");
    assert_eq!(kind(&error), unavailable);
    assert!(error.is_transient() && !error.may_have_applied());
    assert!(session.keys().await.is_err() && session.owner().await.is_err());
    assert!(manager.load(&id).await.is_err());
    session.insert("n", &1).expect("this is local");
    assert!(session.save().await.is_err());
    assert!(session.update("n", |n: Option<u32>| n.unwrap_or(0)).await.is_err());
    assert!(session.login(owner("alice")).await.is_err());
    assert!(session.logout().await.is_err());
    assert_eq!(session.cookie_change(), CookieChange::Keep);
    live.insert("m", &1).expect("this is local");
    assert!(live.save().await.is_err());
    context.tap.down.store(false, Relaxed);
    // No change was lost, and no session was treated as empty.
    session.save().await.expect("the store is back");
    live.save().await.expect("the store is back");
    assert_eq!(context.load(&id).await.keys().await.expect("loaded"), ["greeting", "m", "n"]);
}

async fn a_lost_reply_to_a_login_gives_nobody_the_new_id(context: Context) {
    let (session, id) = context.stored(&context.manager()).await;
    context.tap.lose.store(100, Relaxed);
    let error = session.login(owner("alice")).await.expect_err("its reply was lost");
    context.tap.lose.store(0, Relaxed);
    assert!(error.may_have_applied());
    assert_eq!((session.id(), session.cookie_change()), (None, CookieChange::Keep));
    // The login was carried out, so the old id has ended. The handle notices this and does not
    // create a new session.
    assert!(!context.is_live(&id).await);
    session.insert("n", &1).expect("a number");
    assert!(session.save().await.expect_err("it has ended").is_gone());
}

async fn what_cannot_be_read_is_never_overwritten(context: Context) {
    let (good, good_id) = context.stored(&context.manager()).await;
    let record = context.tap.read(&good_id.key()).await.expect("a read").expect("it is live");
    let mut newer = record.data.to_vec();
    newer[2] = 9;
    let mut damaged = record.data.to_vec();
    *damaged.last_mut().expect("it is not empty") ^= 1;
    let planted = [
        (newer, ErrorKind::Unsupported),
        (damaged, ErrorKind::Corrupt),
        (b"foreign".to_vec(), ErrorKind::Corrupt),
    ];
    for (bytes, expected) in planted {
        let id = SessionId::generate();
        let write = Write::new(bytes.clone(), Ttl::new(Duration::from_mins(1)).expect("a ttl"));
        assert!(context.tap.write(&id.key(), write, When::Absent).await.expect("a write").is_written());
        let session = context.manager().open(Some(id.clone()));
        assert_eq!(kind(&session.get::<u32>("n").await.expect_err("it cannot be read")), expected);
        session.insert("n", &1).expect("this is local");
        assert_eq!(kind(&session.save().await.expect_err("it cannot be read")), expected);
        assert_eq!(kind(&session.login(owner("alice")).await.expect_err("it cannot be read")), expected);
        let update = session.update("n", |n: Option<u32>| n.unwrap_or(0)).await;
        assert_eq!(kind(&update.expect_err("it cannot be read")), expected);
        let there = context.tap.read(&id.key()).await.expect("a read").expect("it is untouched");
        assert_eq!(there.data, bytes);

        // The same holds for a record that was planted after this handle had loaded the session.
        let write = Write::new(bytes.clone(), Ttl::new(Duration::from_mins(1)).expect("a ttl"));
        assert!(context.tap.write(&good_id.key(), write, When::Any).await.expect("a write").is_written());
        good.insert("n", &1).expect("this is local");
        assert_eq!(kind(&good.save().await.expect_err("it cannot be read")), expected);
        let there = context.tap.read(&good_id.key()).await.expect("a read").expect("it is untouched");
        assert_eq!(there.data, bytes);
        // A logout ends the unreadable session.
        session.logout().await.expect("a logout");
        assert!(!context.is_live(&id).await);
    }
}

async fn too_large_is_said_and_changes_nothing(context: Context) {
    let manager = context.builder().max_len(1_000).build().expect("settings");
    let (session, id) = context.stored(&manager).await;
    let error = session.insert("huge", &"x".repeat(1_001)).expect_err("it alone is too long");
    assert!(matches!(error, SessionError::TooLarge { max: 1_000, .. }));
    session.insert("large", &"x".repeat(500)).expect("it alone is not too long");
    session.insert("larger", &"x".repeat(600)).expect("it alone is not too long");
    let error = session.save().await.expect_err("together they are");
    assert!(error.to_string().contains("1000 are allowed; the largest value is \"larger\""), "{error}");
    assert_eq!(context.load(&id).await.keys().await.expect("loaded"), ["greeting"]);
    session.remove("larger");
    session.save().await.expect("there is room now");
    assert_eq!(context.load(&id).await.keys().await.expect("loaded"), ["greeting", "large"]);
}

async fn one_bad_value_harms_no_other(context: Context) {
    let (_, id) = context.stored(&context.manager()).await;
    let session = context.load(&id).await;
    match session.get::<u64>("greeting").await {
        Err(SessionError::Decode { key, .. }) => assert_eq!(key, "greeting"),
        other => panic!("{other:?}"),
    }
    session.insert("n", &1).expect("a number");
    session.save().await.expect("a save");
    let session = context.load(&id).await;
    assert_eq!(session.get("n").await.expect("it is good"), Some(1));
    assert_eq!(session.get::<String>("greeting").await.expect("it is text").as_deref(), Some("hello"));
}

async fn settings_that_make_no_sense_are_refused(context: Context) {
    let builder = || context.builder();
    for (builder, expected) in [
        (builder().idle_timeout(Duration::ZERO), ErrorKind::InvalidTtl),
        (builder().absolute_timeout(Duration::MAX), ErrorKind::InvalidTtl),
        (builder().touch_after(1.1), ErrorKind::Config),
        (builder().touch_after(f64::NAN), ErrorKind::Config),
        (builder().max_sessions_per_owner(0, session_manager::WhenReached::Refuse), ErrorKind::Config),
    ] {
        assert_eq!(builder.build().expect_err("it makes no sense").kind(), expected);
    }
}
