use session_core::SessionId;
use session_manager::{CookieChange, Saved, SessionError};

use crate::support::{Context, owner};

super::cases![
    nothing_is_stored_until_there_is_something_to_store,
    what_was_saved_is_there_for_the_next_request,
    an_untouched_session_costs_no_io,
    an_unknown_id_is_never_adopted,
    values_are_local_until_saved_and_shared_by_clones,
    take_remove_and_clear,
    clear_before_loading_spares_what_others_add_later,
    update_commits_its_key_alone,
    update_may_be_refused,
    the_cookie_follows_the_session,
    rotation_keeps_everything_under_a_new_id,
    labels_timeouts_and_schema_versions_stay,
];

async fn nothing_is_stored_until_there_is_something_to_store(context: Context) {
    let session = context.manager().create();
    assert_eq!(session.get::<u32>("n").await.expect("nothing to load"), None);
    session.remove("n");
    session.clear();
    session.rotate().await.expect("nothing to rotate");
    assert_eq!(session.save().await.expect("nothing to save"), Saved::Nothing);
    session.logout().await.expect("nothing to end");
    assert_eq!(context.tap.counts(), [0; 4]);
    assert_eq!(session.id(), None);
    assert_eq!(session.cookie_change(), CookieChange::Keep);
}

async fn what_was_saved_is_there_for_the_next_request(context: Context) {
    let (session, id) = context.stored(&context.manager()).await;
    assert_eq!(context.tap.counts(), [0, 1, 0, 0]);
    assert_eq!(session.key(), Some(id.key()));
    let next = context.manager().open(Some(id.clone()));
    assert_eq!(next.get::<String>("greeting").await.expect("a load").as_deref(), Some("hello"));
    assert_eq!(next.get::<u32>("other").await.expect("loaded"), None);
    assert!(next.contains("greeting").await.expect("loaded"));
    next.insert("n", &[1, 2, 3]).expect("numbers");
    assert_eq!(next.keys().await.expect("loaded"), ["greeting", "n"]);
    assert_eq!(context.tap.counts(), [1, 1, 0, 0]);
    assert_eq!(next.save().await.expect("a save"), Saved::Written);
    assert_eq!(next.save().await.expect("nothing left"), Saved::Nothing);
    assert_eq!(context.tap.counts(), [1, 2, 0, 0]);
    let last = context.load(&id).await;
    assert_eq!(last.get::<Vec<u8>>("n").await.expect("loaded"), Some(vec![1, 2, 3]));
    assert_eq!(last.get::<String>("greeting").await.expect("loaded").as_deref(), Some("hello"));
}

async fn an_untouched_session_costs_no_io(context: Context) {
    let manager = context.builder().touch_after(0.0).build().expect("settings");
    let (_, id) = context.stored(&manager).await;
    let before = context.tap.counts();
    let session = manager.open(Some(id));
    assert!(!session.is_loaded());
    assert_eq!(session.save().await.expect("nothing to do"), Saved::Nothing);
    assert_eq!(session.cookie_change(), CookieChange::Keep);
    assert_eq!(context.tap.counts(), before);
}

async fn an_unknown_id_is_never_adopted(context: Context) {
    let planted = SessionId::generate();
    let session = context.manager().open(Some(planted.clone()));
    session.insert("n", &1).expect("a number");
    assert_eq!(session.save().await.expect("a save"), Saved::Created);
    let id = session.id().expect("it is stored");
    assert_ne!(id, planted);
    assert!(!context.is_live(&planted).await);
    assert_eq!(session.cookie_change(), CookieChange::Set(id));

    for planted in [SessionId::generate(), SessionId::generate()] {
        let session = context.manager().open(Some(planted.clone()));
        session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await.expect("an update");
        assert_ne!(session.id(), Some(planted.clone()));
        let session = context.manager().open(Some(planted.clone()));
        session.login(owner("alice")).await.expect("a login");
        assert_ne!(session.id(), Some(planted.clone()));
        assert!(!context.is_live(&planted).await);
    }
    // A read of an unknown id does not remove the cookie.
    let session = context.manager().open(Some(planted));
    assert_eq!(session.get::<u32>("n").await.expect("a read"), None);
    assert_eq!(session.save().await.expect("nothing to do"), Saved::Nothing);
    assert_eq!(session.cookie_change(), CookieChange::Keep);
}

async fn values_are_local_until_saved_and_shared_by_clones(context: Context) {
    let (_, id) = context.stored(&context.manager()).await;
    let session = context.manager().open(Some(id.clone()));
    let clone = session.clone();
    clone.insert("n", &1).expect("a number");
    // A value that the handle has set is read without a load.
    assert_eq!(session.get::<u32>("n").await.expect("it is local"), Some(1));
    assert!(!session.is_loaded() && session.is_changed());
    assert!(!context.load(&id).await.contains("n").await.expect("loaded"));
    session.save().await.expect("a save");
    assert!(!clone.is_changed());
    assert!(context.load(&id).await.contains("n").await.expect("loaded"));
}

async fn take_remove_and_clear(context: Context) {
    let (session, id) = context.stored(&context.manager()).await;
    for key in ["a", "b", "c"] {
        session.insert(key, key).expect("text");
    }
    session.save().await.expect("a save");
    let next = context.manager().open(Some(id.clone()));
    assert_eq!(next.take::<String>("a").await.expect("a load").as_deref(), Some("a"));
    assert_eq!(next.take::<String>("a").await.expect("loaded"), None);
    assert!(matches!(next.take::<u32>("b").await, Err(SessionError::Decode { .. })));
    assert!(next.contains("b").await.expect("what could not be read is not removed"));
    next.remove("c");
    next.remove("never there");
    next.save().await.expect("a save");
    assert_eq!(context.load(&id).await.keys().await.expect("loaded"), ["b", "greeting"]);
    next.clear();
    next.insert("d", &1).expect("a number");
    assert_eq!(next.keys().await.expect("loaded"), ["d"]);
    next.save().await.expect("a save");
    assert_eq!(context.load(&id).await.keys().await.expect("loaded"), ["d"]);
}

async fn clear_before_loading_spares_what_others_add_later(context: Context) {
    let (first, id) = context.stored(&context.manager()).await;
    let second = context.manager().open(Some(id.clone()));
    second.clear();
    second.insert("mine", &1).expect("a number");
    assert_eq!(second.get::<String>("greeting").await.expect("known without a load"), None);
    assert_eq!(second.keys().await.expect("a load"), ["mine"]);
    first.insert("theirs", &1).expect("a number");
    first.save().await.expect("a save");
    second.save().await.expect("a merge");
    assert_eq!(context.load(&id).await.keys().await.expect("loaded"), ["mine", "theirs"]);
}

async fn update_commits_its_key_alone(context: Context) {
    let session = context.manager().create();
    session.insert("pending", &1).expect("a number");
    session.insert("n", &40).expect("a number");
    let n = session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await.expect("an update");
    assert_eq!(n, 41, "what was set counts as the current value");
    let id = session.id().expect("it was created");
    assert_eq!(session.cookie_change(), CookieChange::Set(id.clone()));
    assert_eq!(context.load(&id).await.keys().await.expect("loaded"), ["n"]);
    assert_eq!(session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await.expect("an update"), 42);
    assert!(session.is_changed());
    assert_eq!(session.save().await.expect("a save"), Saved::Written);
    let other = context.load(&id).await;
    assert_eq!(other.keys().await.expect("loaded"), ["n", "pending"]);
    assert_eq!(other.get::<u32>("n").await.expect("loaded"), Some(42));
}

async fn update_may_be_refused(context: Context) {
    #[derive(Debug)]
    enum Refused {
        Empty,
        Session(SessionError),
    }
    impl From<SessionError> for Refused {
        fn from(error: SessionError) -> Self {
            Self::Session(error)
        }
    }
    let spend = |credits: Option<u32>| credits.unwrap_or(0).checked_sub(1).ok_or(Refused::Empty);
    let session = context.manager().create();
    assert!(matches!(session.try_update("credits", spend).await, Err(Refused::Empty)));
    assert_eq!(session.id(), None);
    session.insert("credits", &1).expect("a number");
    assert_eq!(session.try_update("credits", spend).await.expect("there is one"), 0);
    assert!(matches!(session.try_update("credits", spend).await, Err(Refused::Empty)));
    session.insert("credits", "many").expect("text");
    let error = session.try_update("credits", spend).await.expect_err("it is text");
    assert!(matches!(error, Refused::Session(SessionError::Decode { .. })));
}

async fn the_cookie_follows_the_session(context: Context) {
    let manager = context.manager();
    let (_, id) = context.stored(&manager).await;
    let open = || manager.open(Some(id.clone()));

    let read = open();
    read.keys().await.expect("a load");
    assert_eq!(read.cookie_change(), CookieChange::Keep);
    let login = open();
    login.login(owner("alice")).await.expect("a login");
    let new = login.id().expect("it is live");
    assert_eq!(login.cookie_change(), CookieChange::Set(new.clone()));
    // A late request with the old id must not remove the new cookie.
    let late = open();
    assert_eq!(late.get::<String>("greeting").await.expect("a read"), None);
    assert_eq!(late.cookie_change(), CookieChange::Keep);
    assert!(read.save().await.is_ok());
    read.insert("n", &1).expect("a number");
    assert!(read.save().await.expect_err("it was rotated").is_gone());
    assert_eq!(read.cookie_change(), CookieChange::Keep);

    let logout = manager.open(Some(new.clone()));
    logout.logout().await.expect("a logout");
    assert_eq!(logout.cookie_change(), CookieChange::Remove);
    logout.insert("farewell", "bye").expect("text");
    assert_eq!(logout.save().await.expect("a new session"), Saved::Created);
    let farewell = logout.id().expect("it is live");
    assert!(farewell != new && farewell != id);
    assert_eq!(logout.cookie_change(), CookieChange::Set(farewell));
    assert_eq!(logout.owner().await.expect("loaded"), None);
    assert_eq!(logout.keys().await.expect("loaded"), ["farewell"]);
}

async fn rotation_keeps_everything_under_a_new_id(context: Context) {
    let session = context.manager().create();
    session.insert("greeting", "hello").expect("text");
    session.set_label("phone");
    session.login(owner("alice")).await.expect("a login");
    let (old, created) = (session.id().expect("stored"), session.created().await.expect("loaded"));
    session.insert("pending", &1).expect("a number");
    session.rotate().await.expect("a rotation");
    let new = session.id().expect("stored");
    assert_ne!(new, old);
    assert_eq!(new.key().shard(), old.key().shard());
    assert!(!session.is_changed(), "what was pending went with it");
    assert!(!context.is_live(&old).await);
    let loaded = context.load(&new).await;
    assert_eq!(loaded.keys().await.expect("loaded"), ["greeting", "pending"]);
    assert_eq!(loaded.owner().await.expect("loaded"), Some(owner("alice")));
    assert_eq!(loaded.created().await.expect("loaded"), created);
    assert_eq!(
        context.manager().sessions_of(&owner("alice")).await.expect("a list")[0].label.as_deref(),
        Some("phone")
    );
}

async fn labels_timeouts_and_schema_versions_stay(context: Context) {
    use std::time::Duration;
    let manager = context.builder().schema_version(3).build().expect("settings");
    let (session, id) = context.stored(&manager).await;
    session.set_timeouts(Duration::from_hours(48), Duration::from_hours(400)).expect("usable");
    session.save().await.expect("a save");
    assert!(session.expires_in().await.expect("loaded").expect("stored") > Duration::from_hours(47));
    let other = context.load(&id).await;
    other.insert("n", &1).expect("a number");
    other.save().await.expect("a save");
    assert!(other.expires_in().await.expect("loaded").expect("stored") > Duration::from_hours(47));
    assert_eq!(other.schema_version().await.expect("loaded"), Some(3), "an older one does not set it back");
    assert!(session.set_timeouts(Duration::ZERO, Duration::from_secs(1)).is_err());
}
