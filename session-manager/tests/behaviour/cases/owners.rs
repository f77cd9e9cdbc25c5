use std::time::Duration;

use session_core::SessionId;
use session_manager::{Session, SessionError, SessionManager, WhenReached};
use tokio::task::JoinSet;

use crate::support::{Context, eventually, owner, rounds};

super::cases![
    your_devices,
    others_and_everywhere,
    the_oldest_session_makes_room,
    or_the_login_is_refused,
    concurrent_logins_keep_the_limit_by_ending_the_oldest,
    concurrent_logins_keep_the_limit_by_refusing,
];

async fn login(manager: &SessionManager, name: &str, label: &str) -> (Session, SessionId) {
    let session = manager.create();
    session.set_label(label);
    session.login(owner(name)).await.expect("a login");
    let id = session.id().expect("it is live");
    (session, id)
}

async fn your_devices(context: Context) {
    let manager = context.builder().touch_after(0.0).build().expect("settings");
    let (phone, phone_id) = login(&manager, "alice", "phone").await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let (_, laptop_id) = login(&manager, "alice", "laptop").await;
    login(&manager, "bob", "tablet").await;
    let devices = manager.sessions_of(&owner("alice")).await.expect("a list");
    let labels: Vec<_> = devices.iter().map(|device| device.label.as_deref()).collect();
    assert_eq!(labels, [Some("laptop"), Some("phone")]);
    assert_eq!([devices[0].key, devices[1].key], [laptop_id.key(), phone_id.key()]);
    assert!(devices[0].created > devices[1].created);
    // A use that causes only a touch counts.
    let seen = devices[1].last_seen;
    assert!(seen >= devices[1].created && seen < devices[0].created + Duration::from_secs(1));
    tokio::time::sleep(Duration::from_millis(20)).await;
    phone.save().await.expect("a touch");
    let devices = manager.sessions_of(&owner("alice")).await.expect("a list");
    assert!(
        devices[1].last_seen >= seen + Duration::from_millis(10),
        "{:?} after {seen:?}",
        devices[1].last_seen
    );
    assert!(manager.destroy(&laptop_id.key()).await.expect("an end"));
    assert!(!manager.destroy(&laptop_id.key()).await.expect("it has ended"));
    assert_eq!(manager.sessions_of(&owner("alice")).await.expect("a list").len(), 1);
    assert_eq!(manager.sessions_of(&owner("nobody")).await.expect("a list"), []);
}

async fn others_and_everywhere(context: Context) {
    let manager = context.manager();
    let (here, here_id) = login(&manager, "alice", "here").await;
    let (_, there_id) = login(&manager, "alice", "there").await;
    let (bobs, bobs_id) = login(&manager, "bob", "his").await;
    assert_eq!(here.logout_others().await.expect("an end"), 1);
    assert!(context.is_live(&here_id).await && !context.is_live(&there_id).await);
    login(&manager, "alice", "again").await;
    assert_eq!(manager.logout_everywhere(&owner("alice")).await.expect("an end"), 2);
    assert_eq!(manager.sessions_of(&owner("alice")).await.expect("a list"), []);
    here.insert("n", &1).expect("a number");
    assert!(here.save().await.expect_err("it has ended").is_gone());
    assert!(context.is_live(&bobs_id).await);
    assert_eq!(bobs.logout_others().await.expect("none"), 0);
    assert_eq!(manager.create().logout_others().await.expect("nobody's"), 0);
}

fn limited(context: &Context, when_reached: WhenReached) -> SessionManager {
    context.builder().max_sessions_per_owner(3, when_reached).build().expect("settings")
}

async fn the_oldest_session_makes_room(context: Context) {
    let manager = limited(&context, WhenReached::EndOldest);
    let mut ids = Vec::new();
    for device in 0..5 {
        ids.push(login(&manager, "alice", &device.to_string()).await.1);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let mut live = Vec::new();
    for id in &ids {
        live.push(context.is_live(id).await);
    }
    assert_eq!(live, [false, false, true, true, true]);
    // A session that is already logged in may log in again.
    let again = context.manager().open(Some(ids[2].clone()));
    again.login(owner("alice")).await.expect("a login");
    assert!(context.is_live(&ids[3]).await && context.is_live(&ids[4]).await);
}

async fn or_the_login_is_refused(context: Context) {
    let manager = limited(&context, WhenReached::Refuse);
    let mut last = None;
    for device in 0..3 {
        last = Some(login(&manager, "alice", &device.to_string()).await.0);
    }
    let (session, id) = context.stored(&manager).await;
    match session.login(owner("alice")).await {
        Err(SessionError::TooManySessions { owner: whose, max: 3 }) => assert_eq!(whose, owner("alice")),
        other => panic!("{other:?}"),
    }
    assert_eq!(session.id(), Some(id), "it stays as it was");
    assert_eq!(session.owner().await.expect("loaded"), None);
    session.login(owner("bob")).await.expect("another owner");
    let last = manager.open(last.expect("there are three").id());
    last.login(owner("alice")).await.expect("who is logged in already may log in again");
    last.logout().await.expect("a logout");
    let session = manager.create();
    session.login(owner("alice")).await.expect("there is room again");
}

async fn race_for_places(context: &Context, manager: &SessionManager) -> (usize, usize) {
    let mut logins = JoinSet::new();
    for device in 0..16 {
        let session = manager.create();
        logins.spawn(async move {
            session.insert("device", &device).expect("a number");
            match session.login(owner("alice")).await {
                Ok(()) => 1,
                Err(SessionError::TooManySessions { .. }) => {
                    assert_eq!(session.owner().await.expect("loaded"), None);
                    0
                }
                Err(error) => panic!("{error}"),
            }
        });
    }
    let admitted = logins.join_all().await.into_iter().sum();
    (admitted, context.manager().sessions_of(&owner("alice")).await.expect("a list").len())
}

async fn concurrent_logins_keep_the_limit_by_ending_the_oldest(context: Context) {
    let manager = limited(&context, WhenReached::EndOldest);
    for _ in 0..rounds(10) {
        assert_eq!(race_for_places(&context, &manager).await, (16, 3));
        manager.logout_everywhere(&owner("alice")).await.expect("an end");
    }
}

async fn concurrent_logins_keep_the_limit_by_refusing(context: Context) {
    let manager = limited(&context, WhenReached::Refuse);
    for _ in 0..rounds(10) {
        let (admitted, live) = race_for_places(&context, &manager).await;
        assert!(admitted == live && live <= 3, "{admitted} were admitted, {live} are live");
        // The places that the race left free can be taken.
        let mut live = live;
        eventually(async || {
            live += usize::from(manager.create().login(owner("alice")).await.is_ok());
            live == 3
        })
        .await;
        assert_eq!(manager.sessions_of(&owner("alice")).await.expect("a list").len(), 3);
        manager.logout_everywhere(&owner("alice")).await.expect("an end");
    }
}
