use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use session_manager::{SameKey, SessionError};
use tokio::{sync::Barrier, task::JoinSet};

use crate::support::{Context, NextWrite, rounds};

super::cases![
    sixty_four_requests_each_add_a_key,
    concurrent_updates_count_exactly,
    updates_count_exactly_when_replies_are_lost,
    a_lost_reply_is_found_out_although_others_have_written_since,
    saves_arrive_when_replies_are_lost,
    the_last_writer_of_a_key_wins,
    or_the_second_writer_of_a_key_fails,
    too_many_rivals_are_an_error_in_the_end,
    rivals_that_never_rest_starve_nobody,
    clones_of_one_handle_do_not_lose_each_others_changes,
    dropped_futures_leave_the_handle_usable,
];

async fn sixty_four_requests_each_add_a_key(context: Context) {
    let managers = [context.manager(), context.manager()];
    let (_, id) = context.stored(&managers[0]).await;
    let barrier = Arc::new(Barrier::new(64));
    let mut tasks = JoinSet::new();
    for task in 0..64 {
        let (session, barrier) = (managers[task % 2].open(Some(id.clone())), Arc::clone(&barrier));
        tasks.spawn(async move {
            session.load().await.expect("a load");
            session.insert(&format!("key {task}"), &task).expect("a number");
            barrier.wait().await;
            session.save().await.expect("a merge");
        });
    }
    tasks.join_all().await;
    let session = context.load(&id).await;
    assert_eq!(session.keys().await.expect("loaded").len(), 65);
    for task in 0..64_usize {
        assert_eq!(session.get(&format!("key {task}")).await.expect("loaded"), Some(task));
    }
}

async fn concurrent_updates_count_exactly(context: Context) {
    let managers = [context.manager(), context.manager()];
    let (_, id) = context.stored(&managers[0]).await;
    let mut tasks = JoinSet::new();
    for task in 0..64 {
        let session = managers[task % 2].open(Some(id.clone()));
        tasks.spawn(async move {
            let mut last = 0;
            for _ in 0..100 {
                let n = session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).await.expect("an update");
                assert!(n > last, "each update sees the ones before it");
                last = n;
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(context.load(&id).await.get::<u64>("n").await.expect("loaded"), Some(6_400));
}

/// Updates over a lossy connection: a successful update counts once, and one with an unknown
/// outcome at most once.
async fn updates_count_exactly_when_replies_are_lost(context: Context) {
    let managers = [context.manager(), context.manager()];
    let (_, id) = context.stored(&managers[0]).await;
    context.tap.lose.store(15, Relaxed);
    context.tap.lose_requests.store(15, Relaxed);
    let (counted, unknown) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut tasks = JoinSet::new();
    for task in 0..8 {
        let session = managers[task % 2].open(Some(id.clone()));
        let (counted, unknown) = (Arc::clone(&counted), Arc::clone(&unknown));
        let updates = rounds(100);
        tasks.spawn(async move {
            for _ in 0..updates {
                match session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).await {
                    Ok(_) => counted.fetch_add(1, Relaxed),
                    Err(error) if error.may_have_applied() => unknown.fetch_add(1, Relaxed),
                    Err(error) => panic!("{error}"),
                };
            }
        });
    }
    tasks.join_all().await;
    context.tap.lose.store(0, Relaxed);
    context.tap.lose_requests.store(0, Relaxed);
    assert!(context.tap.lost.load(Relaxed) > 100, "the line was hardly lossy");
    let (counted, unknown) = (counted.load(Relaxed), unknown.load(Relaxed));
    let n = context.load(&id).await.get::<u64>("n").await.expect("loaded").expect("it was counted");
    assert!(
        (counted..=counted + unknown).contains(&n),
        "{counted} succeeded, {unknown} unknown, {n} counted"
    );
    // The number of unknown outcomes depends on the number of writes in between, and so on the
    // machine. The next case counts them.
}

/// The write is carried out or not, its reply is lost, and others write before it is sent again.
/// Its outcome is determined for up to sixteen other writes.
async fn a_lost_reply_is_found_out_although_others_have_written_since(context: Context) {
    for (carried_out, others) in
        [true, false].into_iter().flat_map(|carried_out| [0, 1, 3, 16, 17].map(|n| (carried_out, n)))
    {
        let (_, id) = context.stored(&context.manager()).await;
        let (session, rival) = (context.load(&id).await, context.load(&id).await);
        let meanwhile = Box::pin(async move {
            for _ in 0..others {
                rival.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).await.expect("an update");
            }
        });
        *context.tap.next_write.lock() = Some(NextWrite { carried_out, meanwhile });
        let updated = session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).await;
        let n = context.load(&id).await.get::<u64>("n").await.expect("loaded").unwrap_or(0);
        match updated {
            Ok(_) => assert_eq!(n, others + 1, "carried out: {carried_out}, others: {others}"),
            Err(error) => {
                assert!(error.may_have_applied(), "{error}");
                assert_eq!(
                    (n, others),
                    (17 + u64::from(carried_out), 17),
                    "after more than sixteen, nobody can tell"
                );
            }
        }
    }
}

async fn saves_arrive_when_replies_are_lost(context: Context) {
    let (_, id) = context.stored(&context.manager()).await;
    for round in 0..rounds(50) {
        let session = context.load(&id).await;
        session.insert("round", &round).expect("a number");
        context.tap.lose.store(50, Relaxed);
        let saved = session.save().await;
        context.tap.lose.store(0, Relaxed);
        if let Err(error) = saved {
            assert!(error.may_have_applied(), "{error}");
            session.save().await.expect("the line is whole again");
        }
        assert_eq!(context.load(&id).await.get("round").await.expect("loaded"), Some(round));
    }
}

async fn the_last_writer_of_a_key_wins(context: Context) {
    let (_, id) = context.stored(&context.manager()).await;
    let (first, second) = (context.load(&id).await, context.load(&id).await);
    first.insert("n", &1).expect("a number");
    second.insert("n", &2).expect("a number");
    second.remove("greeting");
    second.save().await.expect("a save");
    first.save().await.expect("a merge");
    let session = context.load(&id).await;
    assert_eq!(session.get("n").await.expect("loaded"), Some(1));
    assert_eq!(session.keys().await.expect("loaded"), ["n"], "a removal merges, too");
}

async fn or_the_second_writer_of_a_key_fails(context: Context) {
    let manager = context.builder().same_key(SameKey::Fail).build().expect("settings");
    let (_, id) = context.stored(&manager).await;
    let load = async || manager.load(&id).await.expect("a read").expect("it is live");
    let (first, second, third) = (load().await, load().await, load().await);
    first.insert("n", &1).expect("a number");
    first.insert("a", &1).expect("a number");
    second.insert("n", &2).expect("a number");
    third.insert("other", &3).expect("a number");
    second.save().await.expect("the first to save");
    third.save().await.expect("another key");
    match first.save().await {
        Err(SessionError::SameKey { keys }) => assert_eq!(keys, ["n"]),
        other => panic!("{other:?}"),
    }
    let session = load().await;
    assert_eq!(session.keys().await.expect("loaded"), ["greeting", "n", "other"]);
    assert_eq!(session.get("n").await.expect("loaded"), Some(2));
}

async fn too_many_rivals_are_an_error_in_the_end(context: Context) {
    let manager = context.builder().max_attempts(1).build().expect("settings");
    let (_, id) = context.stored(&manager).await;
    let (first, second) = (context.load(&id).await, manager.load(&id).await.expect("a read").expect("live"));
    first.insert("n", &1).expect("a number");
    first.save().await.expect("a save");
    second.insert("m", &2).expect("a number");
    assert!(matches!(second.save().await, Err(SessionError::Contended { attempts: 1 })));
    second.save().await.expect("it knows by now what is there");
    assert_eq!(context.load(&id).await.keys().await.expect("loaded"), ["greeting", "m", "n"]);
}

async fn rivals_that_never_rest_starve_nobody(context: Context) {
    let (_, id) = context.stored(&context.manager()).await;
    let until = Instant::now() + Duration::from_secs(2);
    let mut tasks = JoinSet::new();
    // Each node has several tasks that write the session without a pause.
    for manager in [context.manager(), context.manager()] {
        for _ in 0..4 {
            let (manager, id) = (manager.clone(), id.clone());
            tasks.spawn(async move {
                let mut updates = 0_u64;
                while Instant::now() < until {
                    let session = manager.load(&id).await.expect("a read").expect("it is live");
                    session
                        .update("n", |n: Option<u64>| n.unwrap_or(0) + 1)
                        .await
                        .expect("in the end it is its turn");
                    updates += 1;
                }
                updates
            });
        }
    }
    let updates: u64 = tasks.join_all().await.into_iter().sum();
    assert_eq!(context.load(&id).await.get::<u64>("n").await.expect("loaded"), Some(updates));
}

async fn clones_of_one_handle_do_not_lose_each_others_changes(context: Context) {
    let (session, id) = context.stored(&context.manager()).await;
    let mut tasks = JoinSet::new();
    for task in 0..32 {
        let session = session.clone();
        tasks.spawn(async move {
            for change in 0..10 {
                session.insert(&format!("{task} {change}"), &change).expect("a number");
                session.save().await.expect("a save");
            }
        });
    }
    tasks.join_all().await;
    assert!(!session.is_changed());
    assert_eq!(context.load(&id).await.keys().await.expect("loaded").len(), 321);
}

async fn dropped_futures_leave_the_handle_usable(context: Context) {
    let (session, id) = context.stored(&context.manager()).await;
    let mut counted = 0;
    for round in 0..rounds(200) {
        session.insert("round", &round).expect("a number");
        let save = session.save();
        let update = session.update("n", |n: Option<usize>| n.unwrap_or(0) + 1);
        tokio::select! {
            biased;
            () = async { for _ in 0..round % 7 { tokio::task::yield_now().await } } => {}
            saved = async { save.await.expect("a save"); update.await } => {
                saved.expect("an update");
                counted += 1;
            }
        }
    }
    session.save().await.expect("a save");
    let other = context.load(&id).await;
    assert_eq!(other.get("round").await.expect("loaded"), Some(rounds(200) - 1));
    let n = other.get::<usize>("n").await.expect("loaded").unwrap_or(0);
    assert!((counted..=rounds(200)).contains(&n), "{counted} completed, {n} counted");
}
