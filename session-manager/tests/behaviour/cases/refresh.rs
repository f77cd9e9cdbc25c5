//! `refresh` on handles that outlive their request, such as that of a WebSocket.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use session_core::SessionId;
use session_manager::{SameKey, SessionError};

use crate::support::{Context, owner};

super::cases![
    it_sees_what_others_have_changed,
    it_keeps_what_is_not_saved,
    it_notices_each_end,
    it_asks_for_what_was_not_loaded,
    it_sees_both_changes_of_one_key,
    it_ends_with_the_absolute_timeout,
    an_outage_says_nothing_about_the_session,
];

async fn it_sees_what_others_have_changed(context: Context) {
    let (session, id) = context.stored(&context.manager()).await;
    session.response_sent();
    let other = context.load(&id).await;
    other.insert("n", &1).expect("a number");
    other.remove("greeting");
    other.save().await.expect("a save");
    assert_eq!(session.keys().await.expect("loaded"), ["greeting"], "it knows what it has loaded");
    assert!(session.refresh().await.expect("it is live"));
    assert_eq!(session.keys().await.expect("loaded"), ["n"]);
    assert_eq!(session.get::<u32>("n").await.expect("loaded"), Some(1));
    let before = context.tap.counts();
    assert!(session.refresh().await.expect("it is live"));
    assert_eq!(context.tap.counts(), [before[0] + 1, before[1], before[2], before[3]], "one read");
}

async fn it_keeps_what_is_not_saved(context: Context) {
    let (session, id) = context.stored(&context.manager()).await;
    session.insert("draft", "mine").expect("text");
    session.insert("both", "mine").expect("text");
    session.remove("greeting");
    let other = context.load(&id).await;
    other.insert("both", "theirs").expect("text");
    other.insert("other", "theirs").expect("text");
    other.save().await.expect("a save");
    assert!(session.refresh().await.expect("it is live"));
    assert_eq!(session.keys().await.expect("loaded"), ["both", "draft", "other"]);
    assert_eq!(session.get::<String>("both").await.expect("loaded").as_deref(), Some("mine"));
    let before = context.tap.counts()[1];
    session.save().await.expect("a save");
    assert_eq!(context.tap.counts()[1], before + 1, "on top of what was seen, without a conflict");
    assert_eq!(context.load(&id).await.keys().await.expect("loaded"), ["both", "draft", "other"]);
}

async fn it_notices_each_end(context: Context) {
    for ending in 0..4 {
        let session = context.manager().create();
        session.login(owner("alice")).await.expect("a login");
        let id = session.id().expect("it is live");
        session.insert("draft", &1).expect("a number");
        let other = context.load(&id).await;
        match ending {
            0 => other.logout().await.expect("a logout"),
            1 => other.rotate().await.expect("a rotation"),
            2 => other.login(owner("bob")).await.expect("a login"),
            _ => assert!(context.manager().logout_everywhere(&owner("alice")).await.expect("an end") > 0),
        }
        assert!(session.load().await.expect("it knows no better"));
        match session.refresh().await {
            Err(SessionError::Gone { unsaved }) => assert_eq!(unsaved, ["draft"]),
            other => panic!("{other:?}"),
        }
        assert!(session.refresh().await.expect_err("it stays so").is_gone());
        assert!(session.get::<u32>("draft").await.expect_err("it has ended").is_gone());
    }
}

async fn it_asks_for_what_was_not_loaded(context: Context) {
    assert!(!context.manager().create().refresh().await.expect("nothing is stored"));
    assert_eq!(context.tap.counts(), [0; 4]);
    assert!(!context.manager().open(Some(SessionId::generate())).refresh().await.expect("it is unknown"));
    let (_, id) = context.stored(&context.manager()).await;
    assert!(context.manager().open(Some(id)).refresh().await.expect("it is live"));
    assert_eq!(context.tap.reads.load(Relaxed), 2);
}

async fn it_sees_both_changes_of_one_key(context: Context) {
    let manager = context.builder().same_key(SameKey::Fail).build().expect("settings");
    let (session, id) = context.stored(&manager).await;
    let other = context.load(&id).await;
    other.insert("n", &1).expect("a number");
    other.save().await.expect("a save");
    session.insert("n", &2).expect("a number");
    for _ in 0..2 {
        match session.refresh().await {
            Err(SessionError::SameKey { keys }) => assert_eq!(keys, ["n"]),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(session.save().await, Err(SessionError::SameKey { .. })), "it is not forgotten");
    assert_eq!(context.load(&id).await.get::<u32>("n").await.expect("loaded"), Some(1));
}

async fn it_ends_with_the_absolute_timeout(context: Context) {
    let (session, id) = context.stored(&context.manager()).await;
    session.save().await.expect("nothing to save");
    let strict = context.builder().absolute_timeout(Duration::from_millis(50)).build().expect("settings");
    let handle = strict.open(Some(id.clone()));
    if handle.load().await.expect("a read") {
        tokio::time::sleep(Duration::from_millis(51)).await;
        assert!(handle.refresh().await.expect_err("its time has passed").is_gone());
    }
    assert!(context.is_live(&id).await, "by the other manager's settings it goes on");
}

async fn an_outage_says_nothing_about_the_session(context: Context) {
    let (session, _) = context.stored(&context.manager()).await;
    session.insert("draft", &1).expect("a number");
    context.tap.down.store(true, Relaxed);
    assert!(session.refresh().await.expect_err("the store could not be asked").is_transient());
    context.tap.down.store(false, Relaxed);
    assert!(session.refresh().await.expect("it is live"));
    assert!(session.is_changed());
    session.save().await.expect("a save");
}
