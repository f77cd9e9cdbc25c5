use session_core::{
    DeleteOutcome, Expected, Record, RenameOutcome, SessionKey, SessionStore, When, WriteItem, WriteOutcome,
};

use crate::{
    crowds::each_of_a_crowd_is_told_truly,
    reaped::{Then, a_delete_is_not_made_again, a_touch_is_not_made_again, what_was_made_is_told_and_not_made_again},
    ambiguous::each_change_tells_the_truth,
    long_batches::each_item_of_a_long_batch_is_told_truly,
    Fault,
    case::cases,
    failure::{Checked, Failure, ensure, ensure_eq},
    assertions::{all, await_service, create, ensure_absent, ensure_conflict, ensure_live, live, put, write},
};

fn number(record: &Record) -> u64 {
    String::from_utf8_lossy(&record.data).parse().unwrap_or(0)
}

/// Increments from a record seen before, and retries with the record of each conflict, as long as
/// the outcome is certain. Returns how many increments were reported as written, and how many as
/// possibly written.
async fn increment_blindly(store: &dyn SessionStore, key: &SessionKey, mut seen: Record) -> Checked<(u64, u64)> {
    for _ in 0..3 {
        let next = write((number(&seen) + 1).to_string());
        match store.write(key, next, When::Version(seen.version)).await {
            Ok(WriteOutcome::Written) => return Ok((1, 0)),
            Ok(WriteOutcome::Conflict(Some(current))) => seen = current,
            Ok(WriteOutcome::Conflict(None)) => return Err(Failure::new("a record that nobody deleted is gone")),
            Err(error) if error.may_have_applied() => return Ok((0, 1)),
            Err(error) if error.is_transient() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok((0, 0))
}

cases! {
    promise UnknownOutcome;

    /// A write delivered twice takes effect once, and reports success both times, whatever its condition.
    async fn a_redelivered_write_knows_itself(cx) {
        let key = cx.key();
        let mut seen = None;
        for data in ["created", "replaced", "blindly"] {
            let when = match (data, seen) {
                ("blindly", _) => When::Any,
                (_, Some(version)) => When::Version(version),
                _ => When::Absent,
            };
            let again = write(data);
            for delivery in 1..=3 {
                let outcome = cx.store.write(&key, again.clone(), when).await?;
                ensure_eq!(outcome, WriteOutcome::Written, "delivery {delivery} of the write with {when:?}");
            }
            ensure_live(&cx.store, &key, data, again.version).await?;
            seen = Some(again.version);
        }
    }

    /// A write that is redelivered after a later write of another writer meets a conflict: it does
    /// not take effect twice.
    async fn a_redelivered_write_does_not_undo_a_later_one(cx) {
        let key = cx.key();
        let first = create(&cx.store, &key, "first").await?;
        let second = write("second");
        put(&cx.store, &key, second.clone(), When::Version(first)).await?;
        let third = put(&cx.store, &key, write("third"), When::Version(second.version)).await?;
        ensure_conflict(cx.store.write(&key, second, When::Version(first)).await?)?;
        ensure_live(&cx.store, &key, "third", third).await?;
    }

    /// A conditional write redelivered after a logout finds nothing and creates nothing.
    async fn a_redelivered_write_revives_nothing(cx) {
        let key = cx.key();
        let first = create(&cx.store, &key, "first").await?;
        let second = write("second");
        put(&cx.store, &key, second.clone(), When::Version(first)).await?;
        let _ = cx.store.delete(&key, Expected::Any).await?;
        let outcome = cx.store.write(&key, second, When::Version(first)).await?;
        ensure_eq!(outcome, WriteOutcome::Conflict(None), "the session was ended");
        ensure_absent(&cx.store, &key).await?;
    }

    /// A write delivered twice in one batch takes effect once, and reports success both times.
    async fn a_write_repeated_in_a_batch_knows_itself(cx) {
        let key = cx.key();
        let item = WriteItem { key, write: write("once"), when: When::Absent };
        for outcome in cx.store.write_many(&[item.clone(), item.clone()]).await {
            ensure_eq!(outcome?, WriteOutcome::Written, "both are the same write");
        }
        ensure_live(&cx.store, &key, "once", item.write.version).await?;
    }

    /// Increments whose replies are lost, re-run on conflict as an application does, never count twice.
    #[needs(LoseReplies)]
    async fn no_increment_counts_twice(cx) {
        let broken = cx.breakable().await?;
        let key = cx.key();
        create(&broken.store, &key, "0").await?;
        let (mut sure, mut unsure) = (0, 0);
        for _ in cx.rounds(3) {
            let seen = live(&broken.store, &key).await?;
            broken.control.inject(Fault::LoseReplies).await;
            let tasks = (0..4).map(|_| {
                let (store, seen) = (broken.store.clone(), seen.clone());
                async move { increment_blindly(&*store, &key, seen).await }
            });
            for done in all::<Checked<(u64, u64)>, _>(tasks).await? {
                let (task_sure, task_unsure) = done?;
                (sure, unsure) = (sure + task_sure, unsure + task_unsure);
            }
            broken.control.heal(Fault::LoseReplies).await;
            await_service(&broken).await?;
        }
        let counted = number(&live(&broken.store, &key).await?);
        ensure!(
            (sure..=sure + unsure).contains(&counted),
            "the counter holds {counted}, but {sure} increments were reported as written and {unsure} as perhaps"
        );
    }

    /// A change whose reply was lost fails as "may have been applied", or its outcome is
    /// determined. It is never reported as not applied.
    #[needs(LoseReplies)]
    async fn a_lost_reply_is_never_taken_for_a_failure(cx) {
        let broken = cx.breakable().await?;
        let store = &broken.store;
        let (key, fresh, old, new) = (cx.key(), cx.key(), cx.key(), cx.key());
        let version = create(store, &key, "before").await?;
        let renamed_from = create(store, &old, "before").await?;
        broken.control.inject(Fault::LoseReplies).await;
        let (replace, create_fresh) = (write("after"), write("fresh"));
        let replaced = store.write(&key, replace.clone(), When::Version(version)).await;
        let created = store.write(&fresh, create_fresh, When::Absent).await;
        let renamed = store.rename(&old, &new, write("renamed"), renamed_from).await;
        broken.control.heal(Fault::LoseReplies).await;
        await_service(&broken).await?;
        let applied = live(store, &key).await?.version == replace.version;
        match replaced {
            Ok(outcome) => ensure_eq!(outcome.is_written(), applied, "what was reported and what is there"),
            Err(error) => ensure!(!applied || error.may_have_applied(), "it was applied, but the error says: {error}"),
        }
        match created {
            Ok(outcome) => ensure_eq!(outcome, WriteOutcome::Written, "nobody else used this key"),
            Err(error) => {
                let there = store.read(&fresh).await?.is_some();
                ensure!(!there || error.may_have_applied(), "it was applied, but the error says: {error}");
            }
        }
        match renamed {
            Ok(outcome) => ensure_eq!(outcome, RenameOutcome::Renamed, "nobody else used these keys"),
            Err(error) => {
                let moved = store.delete(&old, Expected::Any).await? == DeleteOutcome::Absent;
                ensure!(!moved || error.may_have_applied(), "it was applied, but the error says: {error}");
            }
        }
    }

    /// The report on each change whose reply was lost is true, also for batches, touches, deletes
    /// and renames. A session that was ended afterwards stays ended.
    #[needs(LoseReplies)]
    async fn each_change_whose_reply_is_lost_is_told_truly(cx) {
        each_change_tells_the_truth(&cx, Fault::LoseReplies, 4).await?;
    }

    /// The report on each change whose connection was reset in place of the reply is true, and no
    /// change is resent that must not be.
    #[needs(Cut)]
    async fn each_change_whose_connection_is_cut_is_told_truly(cx) {
        each_change_tells_the_truth(&cx, Fault::Cut, 16).await?;
    }

    /// The report on each change during which the server froze is true, even if the server
    /// continues it later.
    #[needs(Freeze)]
    async fn each_change_that_meets_a_freeze_is_told_truly(cx) {
        each_change_tells_the_truth(&cx, Fault::Freeze, 4).await?;
    }

    /// A session that is ended while the reply to the change that created it is lost does not come
    /// back: nothing is resent.
    #[needs(LoseReplies)]
    async fn what_was_ended_while_a_reply_was_lost_stays_ended(cx) {
        what_was_made_is_told_and_not_made_again(&cx, Fault::LoseReplies, Then::Ended).await?;
    }

    /// A session that is ended while the connection of the change that created it is cut does not
    /// come back: nothing is resent.
    #[needs(Cut)]
    async fn what_was_ended_while_a_connection_was_cut_stays_ended(cx) {
        what_was_made_is_told_and_not_made_again(&cx, Fault::Cut, Then::Ended).await?;
    }

    /// A session that is overwritten while the reply to the change that created it is lost keeps
    /// the later content, and the creator is not told that nothing was made.
    #[needs(LoseReplies)]
    async fn what_was_replaced_while_a_reply_was_lost_is_told_truly(cx) {
        what_was_made_is_told_and_not_made_again(&cx, Fault::LoseReplies, Then::Replaced).await?;
    }

    /// A session that is overwritten while the connection of the change that created it is cut
    /// keeps the later content, and the creator is not told that nothing was made.
    #[needs(Cut)]
    async fn what_was_replaced_while_a_connection_was_cut_is_told_truly(cx) {
        what_was_made_is_told_and_not_made_again(&cx, Fault::Cut, Then::Replaced).await?;
    }

    /// A touch whose connection is cut is not repeated after a later one that shortens the ttl.
    #[needs(Cut)]
    async fn a_touch_whose_connection_is_cut_is_not_made_again(cx) {
        a_touch_is_not_made_again(&cx, Fault::Cut).await?;
    }

    /// The report on each change during which the server dies is true: a change reported as not
    /// made is not there afterwards.
    #[needs(Kill)]
    async fn each_change_that_meets_a_death_is_told_truly(cx) {
        each_change_tells_the_truth(&cx, Fault::Kill, 16).await?;
    }

    /// In a long batch during which connections are cut, the report on each item is true.
    #[needs(Cut)]
    async fn each_item_of_a_batch_that_is_cut_is_told_truly(cx) {
        each_item_of_a_long_batch_is_told_truly(&cx, Fault::Cut).await?;
    }

    /// In a batch whose replies are lost, the report on each item is true.
    #[needs(LoseReplies)]
    async fn each_item_of_a_batch_whose_replies_are_lost_is_told_truly(cx) {
        each_item_of_a_long_batch_is_told_truly(&cx, Fault::LoseReplies).await?;
    }

    /// A delete whose connection is cut is not repeated on a session that was created since.
    #[needs(Cut)]
    async fn a_delete_whose_connection_is_cut_is_not_made_again(cx) {
        a_delete_is_not_made_again(&cx, Fault::Cut).await?;
    }

    /// The report on each of many concurrent changes whose replies are lost is true.
    #[needs(LoseReplies)]
    async fn each_of_a_crowd_whose_replies_are_lost_is_told_truly(cx) {
        each_of_a_crowd_is_told_truly(&cx, Fault::LoseReplies).await?;
    }

    /// The report on each of many concurrent changes during which the server froze is true.
    #[needs(Freeze)]
    async fn each_of_a_crowd_that_meets_a_freeze_is_told_truly(cx) {
        each_of_a_crowd_is_told_truly(&cx, Fault::Freeze).await?;
    }
}
