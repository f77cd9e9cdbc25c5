use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use session_manager::{Saved, SessionEvent};

use crate::support::{Context, eventually, owner};

super::cases![
    touches_are_coalesced,
    a_save_renews_and_needs_no_touch,
    the_idle_timeout_ends_what_is_not_used,
    the_absolute_timeout_ends_what_is_used_all_the_time,
    a_shorter_absolute_timeout_holds_for_old_sessions,
    a_login_begins_the_absolute_timeout_anew,
    a_touch_of_what_has_ended_says_so,
    listeners_hear_what_happens,
];

async fn touches_are_coalesced(context: Context) {
    let minute = Duration::from_mins(1);
    let manager = context.builder().idle_timeout(minute).touch_after(0.5).build().expect("settings");
    let (_, id) = context.stored(&manager).await;
    let request = async || {
        let session = manager.open(Some(id.clone()));
        session.get::<String>("greeting").await.expect("a read");
        session.save().await.expect("at most a touch")
    };
    for _ in 0..10 {
        assert_eq!(request().await, Saved::Nothing);
    }
    // Simulates that half a minute has passed.
    let short = session_core::Ttl::new(minute.mul_f64(0.49)).expect("a ttl");
    assert!(session_core::SessionStore::touch(&*context.tap, &id.key(), short).await.expect("a touch"));
    assert_eq!(request().await, Saved::Touched);
    for _ in 0..10 {
        assert_eq!(request().await, Saved::Nothing);
    }
    assert_eq!(context.tap.counts()[2], 2, "ours, and one for many requests");
}

async fn a_save_renews_and_needs_no_touch(context: Context) {
    let manager = context.builder().touch_after(0.0).build().expect("settings");
    let (_, id) = context.stored(&manager).await;
    let session = manager.load(&id).await.expect("a read").expect("it is live");
    session.insert("n", &1).expect("a number");
    assert_eq!(session.save().await.expect("a save"), Saved::Written);
    assert_eq!(context.tap.counts()[2], 0);
    let never = context.builder().touch_after(1.0).build().expect("settings");
    let session = never.load(&id).await.expect("a read").expect("it is live");
    assert_eq!(session.save().await.expect("no touch"), Saved::Nothing);
}

async fn the_idle_timeout_ends_what_is_not_used(context: Context) {
    let manager = context
        .builder()
        .idle_timeout(Duration::from_millis(300))
        .touch_after(0.0)
        .build()
        .expect("settings");
    let (_, used) = context.stored(&manager).await;
    let (_, unused) = context.stored(&manager).await;
    let mut requests = 0;
    eventually(async || {
        let session = manager.load(&used).await.expect("a read").expect("it is used all the time");
        session.save().await.expect("a touch");
        requests += 1;
        requests > 3 && !context.is_live(&unused).await
    })
    .await;
    assert!(manager.load(&unused).await.expect("a read").is_none());
}

async fn the_absolute_timeout_ends_what_is_used_all_the_time(context: Context) {
    let began = std::time::Instant::now();
    let limit = Duration::from_millis(300);
    let manager = context.builder().absolute_timeout(limit).touch_after(0.0).build().expect("settings");
    let (session, id) = context.stored(&manager).await;
    assert!(session.expires_in().await.expect("loaded").expect("stored") <= limit);
    eventually(async || match manager.load(&id).await.expect("a read") {
        Some(session) => {
            assert!(began.elapsed() < Duration::from_secs(20), "it never ends");
            session.insert("n", &1).expect("a number");
            match session.save().await {
                Ok(_) => false,
                Err(error) => error.is_gone(),
            }
        }
        None => true,
    })
    .await;
    // Timeouts are stored in whole milliseconds.
    assert!(began.elapsed() + Duration::from_millis(1) >= limit, "it ended too early");
}

async fn a_shorter_absolute_timeout_holds_for_old_sessions(context: Context) {
    let (_, id) = context.stored(&context.manager()).await;
    let strict = context.builder().absolute_timeout(Duration::from_millis(1)).build().expect("settings");
    eventually(async || strict.load(&id).await.expect("a read").is_none()).await;
}

async fn a_login_begins_the_absolute_timeout_anew(context: Context) {
    let manager = context.manager();
    let (session, id) = context.stored(&manager).await;
    let created = session.created().await.expect("loaded").expect("stored");
    eventually(async || std::time::SystemTime::now() > created + Duration::from_millis(2)).await;
    session.login(owner("alice")).await.expect("a login");
    assert!(session.created().await.expect("loaded").expect("stored") > created);
    assert_ne!(session.id(), Some(id));
}

async fn a_touch_of_what_has_ended_says_so(context: Context) {
    let manager = context.builder().touch_after(0.0).build().expect("settings");
    let (_, id) = context.stored(&manager).await;
    let reader = manager.load(&id).await.expect("a read").expect("it is live");
    tokio::time::sleep(Duration::from_millis(2)).await;
    manager.destroy(&id.key()).await.expect("an end");
    assert_eq!(reader.save().await.expect("nothing was lost"), Saved::Ended);
    assert!(!context.is_live(&id).await);
}

async fn listeners_hear_what_happens(context: Context) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let manager = {
        let heard = Arc::clone(&heard);
        context.builder().on_event(move |event| heard.lock().push(event.clone())).build().expect("settings")
    };
    let watching = tokio::spawn({
        let manager = manager.clone();
        async move { manager.watch_expiry().await }
    });
    let (session, first) = context.stored(&manager).await;
    session.login(owner("alice")).await.expect("a login");
    let second = session.key().expect("it is live");
    session.logout().await.expect("a logout");
    let alice = Some(owner("alice"));
    assert_eq!(
        *heard.lock(),
        [
            SessionEvent::Created { key: first.key(), owner: None },
            SessionEvent::Rotated { old: first.key(), new: second, owner: alice },
            SessionEvent::Destroyed { key: second },
        ]
    );
    // The store reports an expiry when it frees the space, which this purge does.
    let maintenance = manager.store().maintenance().filter(|_| context.tells_expiry);
    let Some(maintenance) = maintenance else { return watching.abort() };
    eventually(async || {
        let session = manager.create();
        session.set_timeouts(Duration::from_millis(1), Duration::from_mins(1)).expect("usable");
        session.insert("n", &1).expect("a number");
        session.save().await.expect("a save");
        tokio::time::sleep(Duration::from_millis(3)).await;
        maintenance.purge_expired(100).await.expect("a purge");
        heard.lock().iter().any(|event| matches!(event, SessionEvent::Expired { .. }))
    })
    .await;
    watching.abort();
}
