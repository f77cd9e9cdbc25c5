use std::sync::atomic::Ordering::Relaxed;

use session_core::SessionId;
use session_manager::{CookieChange, Session};

use crate::support::{Context, owner};

super::cases![
    an_id_opens_nothing_for_another_purpose,
    a_purpose_is_kept_through_rotation_and_logout,
    of_several_ids_the_live_one_counts,
    of_several_live_sessions_the_last_login_counts,
    a_logout_ends_the_sessions_of_all_ids,
    an_outage_is_no_missing_session_for_several_ids,
];

async fn greeting(session: &Session) -> Option<String> {
    session.get("greeting").await.expect("a read")
}

async fn an_id_opens_nothing_for_another_purpose(context: Context) {
    let manager = context.manager();
    let [shop, admin] = ["shop", "admin"].map(|name| manager.for_purpose(name));
    let (_, id) = context.stored(&shop).await;
    for other in [&admin, &manager] {
        assert!(other.load(&id).await.expect("a read").is_none());
        let session = other.open(Some(id.clone()));
        assert_eq!(greeting(&session).await, None);
        // There is no session to end, so the result does not matter.
        let _ = session.logout().await;
    }
    let (_, bare) = context.stored(&manager).await;
    assert!(shop.load(&bare).await.expect("a read").is_none());
    // A purpose with the same name is the same purpose on another node.
    let session = context.manager().for_purpose("shop").load(&id).await.expect("a read").expect("it is live");
    assert_eq!(greeting(&session).await.as_deref(), Some("hello"));
    assert_eq!(session.key(), Some(shop.key_of(&id)));
}

async fn a_purpose_is_kept_through_rotation_and_logout(context: Context) {
    let shop = context.manager().for_purpose("shop");
    let (session, old) = context.stored(&shop).await;
    session.login(owner("alice")).await.expect("a login");
    let new = session.id().expect("a new id");
    assert!(shop.load(&old).await.expect("a read").is_none());
    assert!(shop.load(&new).await.expect("a read").is_some());
    assert!(context.manager().load(&new).await.expect("a read").is_none());
    let devices = context.manager().sessions_of(&owner("alice")).await.expect("a list");
    assert_eq!(devices.len(), 1, "an owner has sessions for all purposes");
    assert_eq!(devices[0].key, shop.key_of(&new));
    shop.open(Some(new.clone())).logout().await.expect("a logout");
    assert!(shop.load(&new).await.expect("a read").is_none());
}

async fn of_several_ids_the_live_one_counts(context: Context) {
    let manager = context.manager();
    let (_, id) = context.stored(&manager).await;
    let unknown = SessionId::generate;
    for presented in [
        vec![id.clone(), unknown()],
        vec![unknown(), id.clone()],
        vec![unknown(), unknown(), id.clone(), unknown()],
    ] {
        let session = manager.open_any(presented);
        assert_eq!(greeting(&session).await.as_deref(), Some("hello"));
        assert_eq!(session.id(), Some(id.clone()));
        assert_eq!(session.cookie_change(), CookieChange::Keep);
    }
    let session = manager.open_any([unknown(), unknown()]);
    assert_eq!(greeting(&session).await, None);
    session.insert("greeting", "mine").expect("text");
    session.save().await.expect("a save");
    assert!(matches!(session.cookie_change(), CookieChange::Set(_)), "no id is adopted");
}

async fn of_several_live_sessions_the_last_login_counts(context: Context) {
    let manager = context.manager();
    let (_, planted) = context.stored(&manager).await;
    let began = manager.open(Some(planted.clone())).created().await.expect("a read");
    let mine = manager.create();
    // Times are stored in milliseconds, and sessions of the same millisecond count as equal.
    while mine.created().await.expect("a read") <= began {
        mine.login(owner("alice")).await.expect("a login");
    }
    let mine = mine.id().expect("an id");
    for presented in [[planted.clone(), mine.clone()], [mine, planted]] {
        let session = manager.open_any(presented);
        assert_eq!(session.owner().await.expect("a read"), Some(owner("alice")));
    }
}

async fn a_logout_ends_the_sessions_of_all_ids(context: Context) {
    let manager = context.manager();
    for loaded in [false, true] {
        let [first, second, third] = [
            context.stored(&manager).await.1,
            context.stored(&manager).await.1,
            context.stored(&manager).await.1,
        ];
        let all = [first, SessionId::generate(), second, third];
        let session = manager.open_any(all.clone());
        if loaded {
            assert!(session.load().await.expect("a read"));
        }
        session.logout().await.expect("a logout");
        assert_eq!(session.cookie_change(), CookieChange::Remove);
        for id in &all {
            assert!(!context.is_live(id).await);
        }
    }
}

async fn an_outage_is_no_missing_session_for_several_ids(context: Context) {
    let manager = context.manager();
    let (_, id) = context.stored(&manager).await;
    let session = manager.open_any([SessionId::generate(), id]);
    context.tap.down.store(true, Relaxed);
    session.get::<String>("greeting").await.expect_err("an outage");
    context.tap.down.store(false, Relaxed);
    assert_eq!(greeting(&session).await.as_deref(), Some("hello"));
}
