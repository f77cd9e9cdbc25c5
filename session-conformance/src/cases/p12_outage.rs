use std::time::{Duration, Instant};

use futures_util::future::join_all;
use session_core::{Error, ErrorKind, SessionId, SessionKey, SessionStore, When};

use crate::{
    crowds::callers_that_look_away_keep_nothing,
    questions::each_question_is_answered_truly,
    restarts::what_is_left_is_whole,
    Capability, Breakable, Context, Fault,
    case::cases,
    events::hear_all,
    failure::{Checked, Failure, ensure, ensure_eq},
    listing::listing,
    model::table::Row,
    operations::{UnderWay, each_operation},
    assertions::{GRACE, all, await_service, create, ensure_live, hour, put, write},
};

/// Checks that each operation fails as `Unavailable` within the deadline: first the read-only calls
/// alone, then all calls at once, and those once more. A change would make a handle drop what it
/// has cached.
async fn ensure_outage(broken: &Breakable, key: SessionKey) -> Checked {
    for with_changes in [false, true, true] {
        let calls = each_operation(&*broken.store, key).into_iter();
        let calls = calls.filter(|call| with_changes || !call.operation.is_change());
        let calls = calls.map(|call| ensure_unavailable(call, broken.deadline));
        join_all(calls).await.into_iter().collect::<Checked<Vec<()>>>()?;
    }
    Ok(())
}

async fn ensure_unavailable(call: UnderWay<'_>, deadline: Duration) -> Checked {
    let UnderWay { name, operation, takes_steps, items, results } = call;
    let begun = Instant::now();
    let results = results.await;
    let (taken, limit) = (begun.elapsed(), if takes_steps { 3 * deadline } else { deadline });
    ensure!(taken <= limit + GRACE, "{name} took {taken:?}, and the deadline is {deadline:?}");
    ensure_eq!(results.len(), items, "the results of {name}, one for each item also in an outage");
    for result in results {
        match result {
            Ok(()) => ensure!(false, "{name} gave an answer during the outage"),
            Err(error) => {
                ensure!(
                    matches!(error.kind(), ErrorKind::Unavailable { .. }),
                    "{name} during the outage must fail as Unavailable, not as: {error}"
                );
                ensure_eq!(error.operation(), operation, "what the error of {name} names");
                ensure!(
                    operation.is_change() || !error.may_have_applied(),
                    "{name} changes nothing, and its error says that it may have changed something: {error}"
                );
            }
        }
    }
    Ok(())
}

/// Checks that the store serves again by itself soon after its server is back: each change, and
/// each way of seeing.
async fn ensure_recovery(cx: &Context, mended: &Breakable) -> Checked {
    await_service(mended).await?;
    // Parts of the store with separate connections may take as long as the store declares.
    tokio::time::sleep(mended.recovery).await;
    for Row { start, before, change } in cx.effective() {
        let mut run = cx.run_on(vec![mended.store.clone()]);
        let done = async {
            run.steps(&before).await?;
            run.steps(&change).await?;
            run.look_everywhere().await
        };
        let done: Checked = done.await;
        done.map_err(|failure| failure.within(&format!("after the outage, beginning with: {start}")))?;
    }
    if let Some(maintenance) = mended.store.maintenance() {
        let _ = listing(maintenance, 1_000).await?;
        let _ = maintenance.count().await?;
        let _ = maintenance.purge_expired(10).await?;
    }
    if let Some(watch) = mended.store.watch().filter(|_| cx.has(Capability::Watch)) {
        let (key, mut events) = (SessionId::generate().key(), watch.subscribe().await?);
        create(&mended.store, &key, "after the outage").await?;
        hear_all(&mut events, [key], "a change after the outage").await?;
    }
    mended.store.ping().await?;
    Ok(())
}

async fn outage(cx: &Context, fault: Fault) -> Checked {
    let broken = &cx.breakable().await?;
    let key = SessionId::generate().key();
    for key in [key, SessionId::generate().key(), SessionId::generate().key()] {
        create(&broken.store, &key, "before").await?;
    }
    // A handle must not answer from what it has read before the outage.
    for call in each_operation(&*broken.store, key) {
        if !call.operation.is_change() {
            call.results.await.into_iter().collect::<Result<Vec<()>, Error>>()?;
        }
    }
    ensure_eq!(broken.store.read(&key).await?.is_some(), true, "a session that was created before the outage");
    let listing = broken.store.maintenance();
    let cursor = match listing {
        Some(maintenance) => maintenance.page(None, 1).await?.next,
        None => None,
    };
    broken.store.ping().await?;
    broken.control.inject(fault).await;
    let paging = async {
        match (listing, cursor) {
            (Some(maintenance), Some(cursor)) => Some(maintenance.page(Some(cursor), 10).await),
            _ => None,
        }
    };
    let (page, pinged) = tokio::join!(paging, broken.store.ping());
    ensure!(page.is_none_or(|page| page.is_err()), "a page in the middle of a listing was given during the outage");
    ensure!(pinged.is_err(), "a ping says that the store can serve, as one did just before the outage");
    // A cache may still answer from memory for as long as it declares.
    cx.settle().await;
    ensure_outage(broken, key).await?;
    broken.control.heal(fault).await;
    ensure_recovery(cx, broken).await?;
    broken.store.close().await.map_err(|error| Failure::new(format!("closing after an outage must work, and failed: {error}")))
}

/// Closes a store in an outage, and checks that this call and all later ones end within the
/// deadline.
async fn close_in_an_outage(cx: &Context, fault: Fault) -> Checked {
    let broken = &cx.breakable().await?;
    let key = SessionId::generate().key();
    create(&broken.store, &key, "before").await?;
    broken.control.inject(fault).await;
    let store = broken.store.clone();
    let under_way = tokio::spawn(async move { store.write(&key, write("x"), When::Any).await });
    let begun = Instant::now();
    let closed = broken.store.close().await;
    ensure!(begun.elapsed() <= 2 * broken.deadline + GRACE, "closing took {:?} in an outage", begun.elapsed());
    if let Err(error) = closed {
        ensure!(error.is_transient(), "closing in an outage must work or be Unavailable, not: {error}");
    }
    let _ = under_way.await?;
    let calls = each_operation(&*broken.store, key).into_iter().map(async |call| {
        let (name, begun, limit) = (call.name, Instant::now(), 3 * broken.deadline + GRACE);
        for result in call.results.await {
            let fine = |error: &Error| error.is_transient() || error.kind() == ErrorKind::Closed;
            ensure!(result.as_ref().err().is_some_and(fine), "{name} on a store that was closed in an outage: {result:?}");
        }
        ensure!(begun.elapsed() <= limit, "{name} took {:?} on a store that was closed in an outage", begun.elapsed());
        Ok(())
    });
    join_all(calls).await.into_iter().collect::<Checked<Vec<()>>>()?;
    broken.control.heal(fault).await;
    Ok(())
}

/// Begins an outage under load. Checks that every caller gets an answer or `Unavailable` within the
/// deadline, and can continue afterwards.
async fn outage_under_load(cx: &Context, broken: &Breakable, fault: Fault) -> Checked {
    let deadline = broken.deadline;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let callers = (0..32).map(|_| {
        let (store, stopped) = (broken.store.clone(), stopped.clone());
        async move {
            let key = SessionId::generate().key();
            let mut failures = 0_u32;
            while !*stopped.borrow() {
                // A store that answers without waiting must not keep the other tasks from running.
                tokio::task::yield_now().await;
                let begun = Instant::now();
                let outcome = match store.write(&key, write("x"), When::Any).await {
                    Ok(_) => store.read(&key).await.map(|found| found.is_some()),
                    Err(error) => Err(error),
                };
                let taken = begun.elapsed();
                ensure!(taken <= 2 * deadline + 2 * GRACE, "two calls took {taken:?}; the deadline is {deadline:?}");
                match outcome {
                    Ok(found) => ensure!(found, "a record that was just written is not there"),
                    Err(error) if error.is_transient() => {
                        failures += 1;
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    Err(error) => ensure!(false, "during an outage only Unavailable is expected, not: {error}"),
                }
            }
            Ok(failures)
        }
    });
    let callers = tokio::spawn(all::<Checked<u32>, _>(callers.collect::<Vec<_>>()));
    tokio::time::sleep(Duration::from_millis(100)).await;
    broken.control.inject(fault).await;
    tokio::time::sleep(deadline + GRACE).await;
    broken.control.heal(fault).await;
    ensure_recovery(cx, broken).await?;
    let _ = stop.send(true);
    let mut failures = 0;
    for done in callers.await?? {
        failures += done?;
    }
    ensure!(failures > 0, "the outage was not felt by anybody, so it was none");
    Ok(())
}

cases! {
    promise Outage;

    /// A frozen server gives `Unavailable` within the deadline for every operation, and service resumes when it thaws.
    #[needs(Freeze)]
    async fn a_frozen_server_is_unavailable(cx) {
        outage(&cx, Fault::Freeze).await?;
    }

    /// A server that died gives `Unavailable` within the deadline for every operation, and service resumes when it is back.
    #[needs(Kill)]
    async fn a_dead_server_is_unavailable(cx) {
        outage(&cx, Fault::Kill).await?;
    }

    /// A server that freezes under load leaves no caller waiting beyond the deadline.
    #[needs(Freeze)]
    async fn a_freeze_under_load_leaves_nobody_waiting(cx) {
        outage_under_load(&cx, &cx.breakable().await?, Fault::Freeze).await?;
    }

    /// A server that dies under load leaves no caller waiting beyond the deadline.
    #[needs(Kill)]
    async fn a_death_under_load_leaves_nobody_waiting(cx) {
        outage_under_load(&cx, &cx.breakable().await?, Fault::Kill).await?;
    }

    /// Records that were there before a freeze are unchanged after it, and conditions are judged as
    /// before.
    #[needs(Freeze)]
    async fn a_freeze_changes_nothing(cx) {
        let broken = cx.breakable().await?;
        let key = cx.key();
        let version = create(&broken.store, &key, "before").await?;
        broken.control.inject(Fault::Freeze).await;
        cx.settle().await;
        ensure_outage(&broken, SessionId::generate().key()).await?;
        broken.control.heal(Fault::Freeze).await;
        ensure_recovery(&cx, &broken).await?;
        ensure_live(&broken.store, &key, "before", version).await?;
        put(&broken.store, &key, write("after"), When::Version(version)).await?;
        ensure_eq!(broken.store.touch(&key, hour()).await?, true, "the record is live");
    }

    /// Closing a store whose server is frozen ends within the deadline, as does every later call.
    #[needs(Freeze)]
    async fn closing_while_the_server_is_frozen_ends(cx) {
        close_in_an_outage(&cx, Fault::Freeze).await?;
    }

    /// Closing a store whose server is dead ends within the deadline, as does every later call.
    #[needs(Kill)]
    async fn closing_while_the_server_is_dead_ends(cx) {
        close_in_an_outage(&cx, Fault::Kill).await?;
    }

    /// A read-only call whose connection is cut in place of the reply returns the truth or
    /// `Unavailable`, never an empty answer.
    #[needs(Cut)]
    async fn each_question_whose_connection_is_cut_is_answered_truly(cx) {
        each_question_is_answered_truly(&cx, Fault::Cut, 16).await?;
    }

    /// A read-only call whose reply is lost returns the truth or `Unavailable`, never an empty
    /// answer.
    #[needs(LoseReplies)]
    async fn each_question_whose_answer_is_lost_is_answered_truly(cx) {
        each_question_is_answered_truly(&cx, Fault::LoseReplies, 2).await?;
    }

    /// After the server has died and restarted, each record that is there is whole: as it was
    /// written, in the index of its owner, and with no longer ttl.
    #[needs(Kill)]
    async fn what_outlives_a_death_is_whole(cx) {
        what_is_left_is_whole(&cx).await?;
    }

    /// A read-only call during which the server freezes returns the truth or `Unavailable`, never
    /// an empty answer.
    #[needs(Freeze)]
    async fn each_question_that_meets_a_freeze_is_answered_truly(cx) {
        each_question_is_answered_truly(&cx, Fault::Freeze, 2).await?;
    }

    /// A session can be changed after a freeze during which a caller sent a change and stopped
    /// polling it.
    #[needs(Freeze)]
    async fn callers_that_look_away_keep_nothing_back(cx) {
        callers_that_look_away_keep_nothing(&cx).await?;
    }
}
