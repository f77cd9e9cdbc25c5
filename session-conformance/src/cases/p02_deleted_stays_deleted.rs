use std::time::Duration;

use session_core::{
    DeleteItem, DeleteOutcome, Expected, RenameOutcome, TouchItem, Version, When, WriteItem, WriteOutcome,
};

use crate::{
    model::table::{Kind, rows},
    product::each_is_seen_everywhere,
    case::cases,
    failure::{ensure, ensure_eq},
    race::race,
    assertions::{all, create, ensure_absent, ensure_conflict, ensure_live, hour, only, owned, put, write},
};

cases! {
    promise DeletedStaysDeleted;

    /// After a delete, a write with the version that was live before finds nothing and creates nothing.
    async fn a_late_write_revives_nothing(cx) {
        let key = cx.key();
        let version = create(&cx.store, &key, "logged in").await?;
        ensure_eq!(cx.store.delete(&key, Expected::Any).await?, DeleteOutcome::Deleted, "there was a live record");
        let outcome = cx.store.write(&key, write("late"), When::Version(version)).await?;
        ensure_eq!(outcome, WriteOutcome::Conflict(None), "a write after the logout must find nothing");
        ensure_absent(&cx.store, &key).await?;
    }

    /// After a delete, a touch finds nothing and creates nothing.
    async fn a_late_touch_revives_nothing(cx) {
        let key = cx.key();
        create(&cx.store, &key, "logged in").await?;
        let _ = cx.store.delete(&key, Expected::Any).await?;
        ensure_eq!(cx.store.touch(&key, hour()).await?, false, "a touch after the logout must find nothing");
        ensure_absent(&cx.store, &key).await?;
    }

    /// After a delete, a rename finds nothing and creates nothing, neither under the old nor under the new key.
    async fn a_late_rename_revives_nothing(cx) {
        let (old, new) = cx.pair();
        let version = create(&cx.store, &old, "logged in").await?;
        let _ = cx.store.delete(&old, Expected::Any).await?;
        let outcome = cx.store.rename(&old, &new, write("late"), version).await?;
        ensure_eq!(outcome, RenameOutcome::Conflict(None), "a rename after the logout must find nothing");
        ensure_absent(&cx.store, &old).await?;
        ensure_absent(&cx.store, &new).await?;
    }

    /// After a delete, batches of late writes and touches find nothing and create nothing.
    async fn a_late_batch_revives_nothing(cx) {
        let keys: Vec<_> = (0..8).map(|_| cx.key()).collect();
        let mut writes = Vec::new();
        for key in &keys {
            let version = create(&cx.store, key, "logged in").await?;
            writes.push(WriteItem { key: *key, write: write("late"), when: When::Version(version) });
        }
        let deletes: Vec<_> = keys.iter().map(|key| DeleteItem { key: *key, expected: Expected::Any }).collect();
        for outcome in cx.store.delete_many(&deletes).await {
            ensure_eq!(outcome?, DeleteOutcome::Deleted, "there were live records");
        }
        for outcome in cx.store.write_many(&writes).await {
            ensure_eq!(outcome?, WriteOutcome::Conflict(None), "a batched write after the logout must find nothing");
        }
        let touches: Vec<_> = keys.iter().map(|key| TouchItem { key: *key, ttl: hour() }).collect();
        for touched in cx.store.touch_many(&touches).await {
            ensure_eq!(touched?, false, "a batched touch after the logout must find nothing");
        }
        for key in &keys {
            ensure_absent(&cx.store, key).await?;
        }
    }

    /// A delete that races a conditional write leaves nothing, whichever came first.
    async fn a_delete_races_a_write(cx) {
        let rival = cx.rival().await?;
        for round in cx.rounds(400) {
            let key = cx.key();
            let version = create(&cx.store, &key, "logged in").await?;
            let (writer, deleter) = (cx.store.clone(), rival.clone());
            let (written, deleted) = race(
                round,
                async move { writer.write(&key, write("late"), When::Version(version)).await },
                async move { deleter.delete(&key, Expected::Any).await },
            )
            .await?;
            ensure_eq!(deleted?, DeleteOutcome::Deleted, "the record was live all along, under one version or another");
            let written = written?;
            ensure!(
                !matches!(written, WriteOutcome::Conflict(Some(_))),
                "nobody else wrote this record, which was {version:?}; the write was answered by {written:?}"
            );
            ensure_absent(&cx.store, &key).await?;
        }
    }

    /// A delete that races a touch leaves nothing, whichever came first.
    async fn a_delete_races_a_touch(cx) {
        let rival = cx.rival().await?;
        for round in cx.rounds(400) {
            let key = cx.key();
            create(&cx.store, &key, "logged in").await?;
            let (toucher, deleter) = (cx.store.clone(), rival.clone());
            let (touched, deleted) = race(
                round,
                async move { toucher.touch(&key, hour()).await },
                async move { deleter.delete(&key, Expected::Any).await },
            )
            .await?;
            touched?;
            ensure_eq!(deleted?, DeleteOutcome::Deleted, "the record was live all along");
            ensure_absent(&cx.store, &key).await?;
        }
    }

    /// A delete that races a rename either ends the session or comes after the rename. They never
    /// both succeed.
    async fn a_delete_races_a_rename(cx) {
        let rival = cx.rival().await?;
        for round in cx.rounds(400) {
            let (old, new) = cx.pair();
            let version = create(&cx.store, &old, "logged in").await?;
            let (renamer, deleter) = (cx.store.clone(), rival.clone());
            let login = write("rotated");
            let rotated = login.version;
            let (renamed, deleted) = race(
                round,
                async move { renamer.rename(&old, &new, login, version).await },
                async move { deleter.delete(&old, Expected::Any).await },
            )
            .await?;
            ensure_absent(&cx.store, &old).await?;
            match (renamed?, deleted?) {
                (RenameOutcome::Renamed, DeleteOutcome::Absent) => {
                    ensure_live(&cx.store, &new, "rotated", rotated).await?;
                }
                (RenameOutcome::Conflict(None), DeleteOutcome::Deleted) => ensure_absent(&cx.store, &new).await?,
                (renamed, deleted) => {
                    ensure!(false, "one of the two must have ended the old record: {renamed:?} and {deleted:?}");
                }
            }
        }
    }

    /// A delete that races batches of writes and touches leaves nothing, whichever came first.
    async fn a_delete_races_batches(cx) {
        let rival = cx.rival().await?;
        for round in cx.rounds(150) {
            let keys: Vec<_> = (0..4).map(|_| cx.key()).collect();
            let mut writes = Vec::new();
            let mut touches = Vec::new();
            let mut deletes = Vec::new();
            for key in &keys {
                let version = create(&cx.store, key, "logged in").await?;
                writes.push(WriteItem { key: *key, write: write("late"), when: When::Version(version) });
                touches.push(TouchItem { key: *key, ttl: hour() });
                deletes.push(DeleteItem { key: *key, expected: Expected::Any });
            }
            let (saver, deleter) = (cx.store.clone(), rival.clone());
            let (_, deleted) = race(
                round,
                async move { (saver.write_many(&writes).await, saver.touch_many(&touches).await) },
                async move { deleter.delete_many(&deletes).await },
            )
            .await?;
            for outcome in deleted {
                ensure_eq!(outcome?, DeleteOutcome::Deleted, "the records were live all along");
            }
            for key in &keys {
                ensure_absent(&cx.store, key).await?;
            }
        }
    }

    /// Many saves, touches and a rename, all begun before the logout and some done after it, leave nothing.
    async fn a_logout_among_many_requests_is_final(cx) {
        let racers = cx.racers().await?;
        for _ in cx.rounds(40) {
            let (key, new) = cx.pair();
            let version = create(&cx.store, &key, "logged in").await?;
            let requests = (0..16_usize).map(|n| {
                let store = racers[n % racers.len()].clone();
                async move {
                    match n {
                        0..8 => store.write(&key, write("late"), When::Version(version)).await.map(drop),
                        8 => store.delete(&key, Expected::Any).await.map(drop),
                        9..15 => store.touch(&key, hour()).await.map(drop),
                        _ => store.rename(&key, &new, write("late"), version).await.map(drop),
                    }
                }
            });
            for done in all(requests).await? {
                done?;
            }
            ensure_absent(&cx.store, &key).await?;
        }
    }

    /// A version from before a delete does not win against a record that was created anew.
    async fn an_old_version_does_not_fit_a_new_record(cx) {
        let key = cx.key();
        let old = create(&cx.store, &key, "old").await?;
        let _ = cx.store.delete(&key, Expected::Any).await?;
        let new = create(&cx.store, &key, "new").await?;
        ensure_conflict(cx.store.write(&key, write("late"), When::Version(old)).await?)?;
        ensure_eq!(
            cx.store.delete(&key, Expected::Version(old)).await?,
            DeleteOutcome::Conflict,
            "a delete with the old version must not end the new record"
        );
        let renamed = cx.store.rename(&key, &cx.key(), write("late"), old).await?;
        ensure!(matches!(renamed, RenameOutcome::Conflict(Some(_))), "a rename with the old version: {renamed:?}");
        ensure_live(&cx.store, &key, "new", new).await?;
    }

    /// A delete with a version ends exactly the record that has it, and spares any other.
    async fn a_conditional_delete_ends_only_its_version(cx) {
        let key = cx.key();
        let first = create(&cx.store, &key, "first").await?;
        let second = put(&cx.store, &key, write("second"), When::Version(first)).await?;
        for version in [first, Version::random()] {
            let outcome = cx.store.delete(&key, Expected::Version(version)).await?;
            ensure_eq!(outcome, DeleteOutcome::Conflict, "this version is not live");
        }
        ensure_live(&cx.store, &key, "second", second).await?;
        let outcome = cx.store.delete(&key, Expected::Version(second)).await?;
        ensure_eq!(outcome, DeleteOutcome::Deleted, "this version is live");
        ensure_absent(&cx.store, &key).await?;
    }

    /// Deleting an absent or deleted record reports `Absent`, and is not an error.
    async fn deleting_nothing_says_so(cx) {
        let key = cx.key();
        for expected in [Expected::Any, Expected::Version(Version::random())] {
            ensure_eq!(cx.store.delete(&key, expected).await?, DeleteOutcome::Absent, "nothing is there");
        }
        create(&cx.store, &key, "x").await?;
        ensure_eq!(cx.store.delete(&key, Expected::Any).await?, DeleteOutcome::Deleted, "there was a live record");
        ensure_eq!(cx.store.delete(&key, Expected::Any).await?, DeleteOutcome::Absent, "it is gone already");
    }

    /// Of 32 concurrent deletes of one record, exactly one reports that it ended it.
    async fn one_of_many_deletes_ends_the_record(cx) {
        let racers = cx.racers().await?;
        for _ in cx.rounds(20) {
            let key = cx.key();
            create(&cx.store, &key, "x").await?;
            let deletes = (0..32).map(|n| {
                let store = racers[n % racers.len()].clone();
                async move { store.delete(&key, Expected::Any).await }
            });
            let mut ended = 0;
            for outcome in all(deletes).await? {
                ended += u32::from(outcome? == DeleteOutcome::Deleted);
            }
            ensure_eq!(ended, 1, "one of 32 deletes must report that it ended the record");
        }
    }

    /// A session that a delete reports as absent, because another handle has ended it, is absent
    /// for the next read.
    #[needs(SecondHandle)]
    async fn what_a_delete_says_to_be_gone_is_gone(cx) {
        let other = cx.second().await?;
        for round in cx.rounds(20) {
            let key = cx.key();
            let version = create(&cx.store, &key, "x").await?;
            ensure_live(&cx.store, &key, "x", version).await?;
            ensure_eq!(other.delete(&key, Expected::Any).await?, DeleteOutcome::Deleted, "the session was live");
            let expected = if round % 2 == 0 { Expected::Any } else { Expected::Version(version) };
            let outcome = if round % 4 < 2 {
                cx.store.delete(&key, expected).await?
            } else {
                only(cx.store.delete_many(&[DeleteItem { key, expected }]).await)?
            };
            ensure_eq!(outcome, DeleteOutcome::Absent, "another handle has ended it");
            ensure_absent(&cx.store, &key).await?;
        }
    }

    /// A deleted record does not come back by itself, neither by a purge nor in the owner's index.
    #[needs(Owners, Maintenance)]
    async fn nothing_behind_the_scenes_revives(cx) {
        let key = cx.key();
        put(&cx.store, &key, owned("x", "alice"), When::Absent).await?;
        let _ = cx.store.delete(&key, Expected::Any).await?;
        let _ = cx.maintenance()?.purge_expired(1_000).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
        ensure_absent(&cx.store, &key).await?;
        let alice = crate::assertions::owner("alice");
        ensure_eq!(cx.owners()?.list(&alice).await?, vec![], "the index still lists a deleted session");
        ensure_eq!(cx.maintenance()?.count().await?, 0, "a deleted session is still counted");
    }

    /// Each way of deleting, in each state that a record can be in, is answered by the contract and
    /// seen in each way, through each handle.
    async fn each_way_of_deleting_is_seen_in_each_way(cx) {
        each_is_seen_everywhere(&cx, rows(Kind::Delete)).await?;
    }
}
