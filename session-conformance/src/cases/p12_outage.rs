use std::time::{Duration, Instant};

use session_core::{
    DeleteItem, Error, ErrorKind, Expected, Operation, SessionId, SessionKey, SessionStore, TouchItem, When, WriteItem,
};

use crate::{
    Breakable, Context, Fault,
    case::cases,
    failure::{Checked, ensure, ensure_eq},
    steps::{GRACE, all, await_service, create, ensure_live, hour, put, write},
};

/// Checks that a call fails as `Unavailable`, and within the deadline.
async fn ensure_unavailable<T: std::fmt::Debug>(
    operation: Operation,
    deadline: Duration,
    call: impl Future<Output = Result<T, Error>>,
) -> Checked {
    let begun = Instant::now();
    match call.await {
        Ok(answer) => ensure!(false, "{operation} gave an answer during the outage: {answer:?}"),
        Err(error) => {
            let transient = matches!(error.kind(), ErrorKind::Unavailable { .. });
            ensure!(transient, "{operation} during the outage must fail as Unavailable, not as: {error}");
        }
    }
    let taken = begun.elapsed();
    ensure!(taken <= deadline + GRACE, "{operation} took {taken:?}, and the deadline is {deadline:?}");
    Ok(())
}

/// Checks that each item of a batch fails as `Unavailable`, and the batch within the deadline.
async fn ensure_batch_unavailable<T: std::fmt::Debug>(
    operation: Operation,
    deadline: Duration,
    items: usize,
    call: impl Future<Output = Vec<Result<T, Error>>>,
) -> Checked {
    let begun = Instant::now();
    let results = call.await;
    let taken = begun.elapsed();
    ensure!(taken <= deadline + GRACE, "a batched {operation} took {taken:?}, and the deadline is {deadline:?}");
    ensure_eq!(results.len(), items, "one result for each item, also in an outage");
    for result in results {
        ensure_unavailable(operation, deadline, async { result }).await?;
    }
    Ok(())
}

/// Checks each operation during the outage.
async fn ensure_outage(broken: &Breakable, key: &SessionKey) -> Checked {
    let (store, deadline) = (&broken.store, broken.deadline);
    let other = SessionId::generate().key();
    ensure_unavailable(Operation::Read, deadline, store.read(key)).await?;
    ensure_unavailable(Operation::Read, deadline, store.read(&other)).await?;
    ensure_unavailable(Operation::Write, deadline, store.write(key, write("x"), When::Any)).await?;
    ensure_unavailable(Operation::Write, deadline, store.write(&other, write("x"), When::Absent)).await?;
    ensure_unavailable(Operation::Touch, deadline, store.touch(key, hour())).await?;
    ensure_unavailable(Operation::Delete, deadline, store.delete(&other, Expected::Any)).await?;
    let seen = session_core::Version::random();
    ensure_unavailable(Operation::Rename, 3 * deadline, store.rename(&other, key, write("x"), seen)).await?;
    ensure_unavailable(Operation::Ping, deadline, store.ping()).await?;
    let item = WriteItem { key: other, write: write("x"), when: When::Absent };
    let delete = DeleteItem { key: other, expected: Expected::Any };
    ensure_batch_unavailable(Operation::Read, deadline, 2, store.read_many(&[*key, other])).await?;
    ensure_batch_unavailable(Operation::Write, deadline, 1, store.write_many(&[item])).await?;
    ensure_batch_unavailable(Operation::Touch, deadline, 1, store.touch_many(&[TouchItem { key: *key, ttl: hour() }])).await?;
    ensure_batch_unavailable(Operation::Delete, deadline, 1, store.delete_many(&[delete])).await?;
    if let Some(owners) = store.owners() {
        let alice = crate::steps::owner("alice");
        // These may look in several places, one after another.
        ensure_unavailable(Operation::ListOwner, 3 * deadline, owners.list(&alice)).await?;
        ensure_unavailable(Operation::CountOwner, 3 * deadline, owners.count(&alice)).await?;
        ensure_unavailable(Operation::DeleteOwner, 3 * deadline, owners.delete_all(&alice, None)).await?;
    }
    if let Some(maintenance) = store.maintenance() {
        ensure_unavailable(Operation::Count, 3 * deadline, maintenance.count()).await?;
        ensure_unavailable(Operation::Page, 3 * deadline, maintenance.page(None, 10)).await?;
        ensure_unavailable(Operation::Purge, 3 * deadline, maintenance.purge_expired(10)).await?;
    }
    Ok(())
}

/// Checks that the store serves again soon after its server is back, without anybody doing anything.
async fn ensure_recovery(mended: &Breakable) -> Checked {
    await_service(mended).await?;
    let key = SessionId::generate().key();
    let version = create(&mended.store, &key, "after the outage").await?;
    ensure_live(&mended.store, &key, "after the outage", version).await?;
    Ok(())
}

async fn outage(cx: &Context, fault: Fault) -> Checked {
    let broken = &cx.breakable().await?;
    let key = SessionId::generate().key();
    create(&broken.store, &key, "before").await?;
    broken.control.inject(fault).await;
    // A cache may still answer from memory for as long as it declares.
    cx.settle().await;
    ensure_outage(broken, &key).await?;
    broken.control.heal(fault).await;
    ensure_recovery(broken).await
}

/// Begins an outage under load: every caller gets an answer or `Unavailable` within the deadline, and goes on afterwards.
async fn outage_under_load(broken: &Breakable, fault: Fault) -> Checked {
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
    ensure_recovery(broken).await?;
    tokio::time::sleep(broken.recovery).await;
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
        outage_under_load(&cx.breakable().await?, Fault::Freeze).await?;
    }

    /// A server that dies under load leaves no caller waiting beyond the deadline.
    #[needs(Kill)]
    async fn a_death_under_load_leaves_nobody_waiting(cx) {
        outage_under_load(&cx.breakable().await?, Fault::Kill).await?;
    }

    /// What was there before a freeze is there after it, unchanged, and conditions are judged as before.
    #[needs(Freeze)]
    async fn a_freeze_changes_nothing(cx) {
        let broken = cx.breakable().await?;
        let key = cx.key();
        let version = create(&broken.store, &key, "before").await?;
        broken.control.inject(Fault::Freeze).await;
        cx.settle().await;
        ensure_unavailable(Operation::Read, broken.deadline, broken.store.read(&key)).await?;
        broken.control.heal(Fault::Freeze).await;
        ensure_recovery(&broken).await?;
        ensure_live(&broken.store, &key, "before", version).await?;
        put(&broken.store, &key, write("after"), When::Version(version)).await?;
        ensure_eq!(broken.store.touch(&key, hour()).await?, true, "the record is live");
    }
}
