use session_core::{DeleteOutcome, Expected, RenameOutcome, When, WriteItem, WriteOutcome};

use crate::{
    Fault,
    case::cases,
    failure::{Checked, Failure, ensure, ensure_eq},
    steps::{all, create, ensure_absent, ensure_conflict, ensure_live, live, put, write},
};

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

    /// A write delivered again after somebody else's has followed meets a conflict: it does not take effect twice.
    async fn a_redelivered_write_does_not_undo_a_later_one(cx) {
        let key = cx.key();
        let first = create(&cx.store, &key, "first").await?;
        let second = write("second");
        put(&cx.store, &key, second.clone(), When::Version(first)).await?;
        let third = put(&cx.store, &key, write("third"), When::Version(second.version)).await?;
        ensure_conflict(cx.store.write(&key, second, When::Version(first)).await?)?;
        ensure_live(&cx.store, &key, "third", third).await?;
    }

    /// A conditional write delivered again after a logout finds nothing and creates nothing.
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

    /// While replies are lost, an increment is either counted and reported as "may have been applied", or exact.
    #[needs(LoseReplies)]
    async fn no_increment_counts_twice(cx) {
        let broken = cx.breakable().await?;
        let key = cx.key();
        create(&broken.store, &key, "0").await?;
        let tasks = (0..8).map(|_| {
            let (store, rounds) = (broken.store.clone(), cx.rounds(12));
            async move {
                let (mut sure, mut unsure) = (0_u64, 0_u64);
                for _ in 0..rounds {
                    let record = match store.read(&key).await {
                        Ok(found) => found.ok_or_else(|| Failure::new("a record that nobody deleted is gone"))?,
                        Err(error) if error.is_transient() => continue,
                        Err(error) => return Err(error.into()),
                    };
                    let number: u64 = String::from_utf8_lossy(&record.data).parse().unwrap_or(0);
                    let next = write((number + 1).to_string());
                    match store.write(&key, next, When::Version(record.version)).await {
                        Ok(outcome) => sure += u64::from(outcome.is_written()),
                        Err(error) if error.may_have_applied() => unsure += 1,
                        Err(error) if error.is_transient() => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Ok((sure, unsure))
            }
        });
        let tasks = tokio::spawn(all::<Checked<(u64, u64)>, _>(tasks.collect::<Vec<_>>()));
        for _ in 0..3 {
            tokio::time::sleep(broken.deadline / 4).await;
            broken.control.inject(Fault::LoseReplies).await;
            tokio::time::sleep(broken.deadline / 2).await;
            broken.control.heal(Fault::LoseReplies).await;
        }
        let (mut sure, mut unsure) = (0, 0);
        for done in tasks.await?? {
            let (task_sure, task_unsure) = done?;
            (sure, unsure) = (sure + task_sure, unsure + task_unsure);
        }
        let counted: u64 = String::from_utf8_lossy(&live(&broken.store, &key).await?.data).parse().unwrap_or(0);
        ensure!(
            (sure..=sure + unsure).contains(&counted),
            "the counter holds {counted}, but {sure} increments were reported as written and {unsure} as perhaps"
        );
    }

    /// A change whose reply was lost fails as "may have been applied", or is found out; never as if it had not happened.
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
        while store.ping().await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
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
}
