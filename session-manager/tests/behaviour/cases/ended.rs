use session_core::SessionId;
use session_manager::{Saved, Session, SessionError};
use tokio::task::JoinSet;

use crate::support::{Context, owner, rounds};

super::cases![
    what_ended_elsewhere_is_gone_with_the_unsaved_keys,
    a_request_from_before_a_login_changes_nothing,
    a_logout_ends_it_for_all,
    a_logout_that_ends_nothing_says_so,
    each_session_of_a_handle_is_ended_by_itself,
    a_logout_catches_up_with_rotations,
    a_logout_follows_a_rotation,
    nothing_revives_a_session_that_was_logged_out,
    of_concurrent_logins_one_wins,
];

fn unsaved(error: &SessionError) -> &[String] {
    match error {
        SessionError::Gone { unsaved } => unsaved,
        other => panic!("{other:?}"),
    }
}

async fn what_ended_elsewhere_is_gone_with_the_unsaved_keys(context: Context) {
    for ending in 0..3 {
        let (_, id) = context.stored(&context.manager()).await;
        let (slow, reader, updater, rotator) = (
            context.load(&id).await,
            context.load(&id).await,
            context.load(&id).await,
            context.load(&id).await,
        );
        slow.insert("b", &1).expect("a number");
        slow.insert("a", &1).expect("a number");
        let ending_one = context.load(&id).await;
        match ending {
            0 => ending_one.logout().await.expect("a logout"),
            1 => ending_one.rotate().await.expect("a rotation"),
            _ => ending_one.login(owner("alice")).await.expect("a login"),
        }
        let error = slow.save().await.expect_err("it has ended");
        assert_eq!(unsaved(&error), ["a", "b"]);
        assert!(error.to_string().contains("a, b"), "{error}");
        // The session stays ended.
        assert!(slow.save().await.expect_err("it has ended").is_gone());
        assert!(slow.get::<u32>("a").await.expect_err("it has ended").is_gone());
        assert!(slow.login(owner("mallory")).await.expect_err("it has ended").is_gone());
        assert!(
            updater.update("n", |n: Option<u32>| n.unwrap_or(0)).await.expect_err("it has ended").is_gone()
        );
        assert!(rotator.rotate().await.expect_err("it has ended").is_gone());
        assert_eq!(reader.save().await.expect("it only reads"), Saved::Nothing);
        assert!(!context.is_live(&id).await);
    }
}

async fn a_request_from_before_a_login_changes_nothing(context: Context) {
    let (_, id) = context.stored(&context.manager()).await;
    let slow = context.load(&id).await;
    slow.insert("greeting", "late").expect("text");
    let login = context.load(&id).await;
    login.login(owner("alice")).await.expect("a login");
    assert!(slow.save().await.expect_err("its id is worth nothing").is_gone());
    let new = login.id().expect("it is live");
    // A save under the new id keeps the owner.
    let next = context.manager().open(Some(new.clone()));
    next.insert("greeting", "next").expect("text");
    next.save().await.expect("a save");
    let session = context.load(&new).await;
    assert_eq!(session.owner().await.expect("loaded"), Some(owner("alice")));
    assert_eq!(session.get::<String>("greeting").await.expect("loaded").as_deref(), Some("next"));
    assert!(!context.is_live(&id).await);
}

async fn a_logout_ends_it_for_all(context: Context) {
    let (session, id) = context.stored(&context.manager()).await;
    let logout = context.manager().open(Some(id.clone()));
    logout.insert("unsaved", &1).expect("a number");
    logout.logout().await.expect("a logout");
    assert!(!logout.is_changed());
    assert_eq!(logout.save().await.expect("nothing to save"), Saved::Nothing);
    assert!(!context.is_live(&id).await);
    session.insert("n", &1).expect("a number");
    assert!(session.save().await.expect_err("it has ended").is_gone());
    logout.logout().await.expect("it was this one that ended it");
}

/// `Ok` means that this handle has ended the session: after it, a user may leave the computer to
/// others.
async fn a_logout_that_ends_nothing_says_so(context: Context) {
    for ending in 0..4 {
        let (elsewhere, id) = context.stored(&context.manager()).await;
        let (loaded, cold) = (context.load(&id).await, context.manager().open(Some(id.clone())));
        loaded.insert("unsaved", &1).expect("a number");
        let gone = context.load(&id).await;
        match ending {
            0 => elsewhere.rotate().await.expect("a rotation"),
            1 => elsewhere.login(owner("alice")).await.expect("a login"),
            2 => elsewhere.logout().await.expect("a logout"),
            _ => assert!(context.manager().destroy(&id.key()).await.expect("an end")),
        }
        gone.insert("late", &1).expect("a number");
        assert!(gone.save().await.expect_err("it has ended").is_gone());
        for handle in [loaded, cold, gone] {
            for _ in 0..2 {
                let error = handle.logout().await.expect_err("it has ended nothing");
                assert_eq!(unsaved(&error), [""; 0], "it has dropped what was not saved");
            }
            // The client may have a newer id, which must not be removed or replaced.
            assert_eq!(handle.cookie_change(), session_manager::CookieChange::Keep);
            handle.insert("farewell", "bye").expect("text");
            assert!(handle.save().await.expect_err("it has ended").is_gone());
        }
        if ending < 2 {
            assert!(context.is_live(&elsewhere.id().expect("it was live")).await);
        }
    }
    let unknown = context.manager().open(Some(SessionId::generate()));
    assert!(unknown.logout().await.expect_err("nothing is there").is_gone());
}

/// Values that are set after a logout belong to another session, which can be ended, too, by this
/// handle or elsewhere.
async fn each_session_of_a_handle_is_ended_by_itself(context: Context) {
    let (session, _) = context.stored(&context.manager()).await;
    for elsewhere in [false, true] {
        session.logout().await.expect("a logout");
        session.logout().await.expect("it has ended it already");
        session.insert("farewell", "bye").expect("text");
        session.save().await.expect("a save");
        if elsewhere {
            let key = session.key().expect("it is live");
            assert!(context.manager().destroy(&key).await.expect("an end"));
            assert!(session.logout().await.expect_err("it was not this one").is_gone());
        }
    }
    context.manager().create().logout().await.expect("the client has nothing that could be ended");
}

/// Rotations continue while a logout searches for the session.
async fn a_logout_catches_up_with_rotations(context: Context) {
    for _ in 0..rounds(100) {
        let session = context.manager().create();
        session.login(owner("alice")).await.expect("a login");
        let id = session.id().expect("it is live");
        let logout = context.load(&id).await;
        let rotations = tokio::spawn(async move {
            for _ in 0..4 {
                match session.rotate().await {
                    Ok(()) => {}
                    Err(error) if error.is_gone() => return,
                    Err(error) => panic!("{error}"),
                }
            }
        });
        tokio::task::yield_now().await;
        logout.logout().await.expect("one of them is live");
        rotations.await.expect("no panic");
        let left = context.manager().sessions_of(&owner("alice")).await.expect("a list");
        assert_eq!(left, [], "the login has ended under each of its ids");
    }
}

async fn a_logout_follows_a_rotation(context: Context) {
    let session = context.manager().create();
    session.login(owner("alice")).await.expect("a login");
    let id = session.id().expect("it is live");
    let elsewhere = context.load(&id).await;
    elsewhere.rotate().await.expect("a rotation");
    let other_device = context.manager().create();
    other_device.login(owner("alice")).await.expect("a login");
    session.logout().await.expect("a logout");
    assert!(!context.is_live(&elsewhere.id().expect("it was live")).await, "the same login under its new id");
    assert!(context.is_live(&other_device.id().expect("it is live")).await, "another login");
}

/// The operations that may run during a logout. Returns the new ids that the operation received.
async fn race(context: &Context, id: &SessionId, what: usize) -> Vec<SessionId> {
    let session = context.manager().open(Some(id.clone()));
    let ids = |session: &Session| session.id().into_iter().filter(|new| new != id).collect();
    if session.load().await.is_ok_and(|live| !live) {
        return Vec::new();
    }
    let result = match what % 5 {
        0 => {
            session.insert("late", &1).expect("a number");
            session.save().await.map(drop)
        }
        1 => session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await.map(drop),
        2 => session.rotate().await,
        3 => session.login(owner("alice")).await,
        _ => session.save().await.map(drop),
    };
    match result {
        Ok(()) => ids(&session),
        Err(error) if error.is_gone() => Vec::new(),
        Err(error) => panic!("{error}"),
    }
}

/// A logout races saves, updates, rotations, logins and touches. Whatever the order: once the
/// logout and the others have returned, the old id is invalid, and a session is live only if it was
/// logged in again.
async fn nothing_revives_a_session_that_was_logged_out(context: Context) {
    let manager = context.builder().touch_after(0.0).build().expect("settings");
    for round in 0..rounds(1_500) {
        let session = manager.create();
        session.login(owner("bob")).await.expect("a login");
        let id = session.id().expect("it is live");
        let logout = manager.load(&id).await.expect("a read").expect("it is live");
        let mut racers = JoinSet::new();
        for racer in 0..3 {
            let (context, id) = (context.clone(), id.clone());
            racers.spawn(async move { (round + racer, race(&context, &id, round / 3 + racer).await) });
        }
        for _ in 0..round % 5 {
            tokio::task::yield_now().await;
        }
        if let Err(error) = logout.logout().await {
            assert!(error.is_gone(), "a new login was faster: {error}");
        }
        assert!(!context.is_live(&id).await, "the old id, at once");
        for (_, ids) in racers.join_all().await {
            for id in ids {
                let Some(survivor) = context.manager().load(&id).await.expect("a read") else { continue };
                let owner_now = survivor.owner().await.expect("loaded");
                assert_eq!(owner_now, Some(owner("alice")), "only a new login may outlive the logout");
                survivor.logout().await.expect("a logout");
            }
        }
        assert!(!context.is_live(&id).await, "the old id, for ever");
    }
    assert_eq!(context.manager().sessions_of(&owner("bob")).await.expect("a list"), []);
}

async fn of_concurrent_logins_one_wins(context: Context) {
    for _ in 0..rounds(30) {
        let (_, id) = context.stored(&context.manager()).await;
        let mut sessions = Vec::new();
        for _ in 0..4 {
            sessions.push(context.load(&id).await);
        }
        let mut logins = JoinSet::new();
        for (user, session) in sessions.into_iter().enumerate() {
            logins.spawn(async move {
                let won = session.login(owner(&format!("user {user}"))).await;
                match won {
                    Ok(()) => session.id(),
                    Err(error) => {
                        assert!(error.is_gone(), "{error}");
                        None
                    }
                }
            });
        }
        let winners: Vec<SessionId> = logins.join_all().await.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1);
        assert!(context.is_live(&winners[0]).await);
    }
}
