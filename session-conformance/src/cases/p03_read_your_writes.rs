use futures_util::future::join_all;
use session_core::{DeleteOutcome, Expected, SessionKey, SessionStore, When, WriteItem, WriteOutcome};

use crate::{
    overlapped::no_call_shares_an_older_answer,
    case::cases,
    failure::{Checked, ensure_eq},
    model::random::agrees_with_contract,
    newest::{self, reads_find_what_has_returned},
    assertions::{all, create, ensure_absent, ensure_conflict, ensure_live, hour, increment, live, millis, put, write},
};

cases! {
    promise ReadYourWrites;

    /// Each change is seen by the next read through the same handle, single or batched.
    async fn a_handle_sees_its_own_changes(cx) {
        let (key, renamed) = cx.pair();
        for n in cx.rounds(50) {
            let data = format!("write {n}");
            let version = put(&cx.store, &key, write(data.clone()), When::Any).await?;
            ensure_live(&cx.store, &key, &data, version).await?;
            for found in cx.store.read_many(&[key]).await {
                ensure_eq!(found?.map(|record| record.version), Some(version), "read_many must see the last write");
            }
        }
        let version = live(&cx.store, &key).await?.version;
        cx.store.touch(&key, millis(60_000)).await?;
        ensure_eq!(live(&cx.store, &key).await?.expires_in <= millis(60_001).as_duration(), true, "the touch is unseen");
        let _ = cx.store.rename(&key, &renamed, write("renamed"), version).await?;
        ensure_absent(&cx.store, &key).await?;
        ensure_eq!(live(&cx.store, &renamed).await?.data, b"renamed"[..], "the rename must be seen");
        let _ = cx.store.delete(&renamed, Expected::Any).await?;
        ensure_absent(&cx.store, &renamed).await?;
    }

    /// A change through one handle is seen by a read through another, immediately or after the
    /// declared staleness.
    #[needs(SecondHandle)]
    async fn another_handle_sees_the_changes(cx) {
        let other = cx.second().await?;
        let (key, renamed) = cx.pair();
        ensure_absent(&other, &key).await?;
        let first = create(&cx.store, &key, "first").await?;
        cx.settle().await;
        ensure_live(&other, &key, "first", first).await?;
        let second = put(&cx.store, &key, write("second"), When::Version(first)).await?;
        cx.settle().await;
        ensure_live(&other, &key, "second", second).await?;
        let _ = cx.store.rename(&key, &renamed, write("third"), second).await?;
        cx.settle().await;
        ensure_absent(&other, &key).await?;
        ensure_eq!(live(&other, &renamed).await?.data, b"third"[..], "the other handle must see the rename");
        let _ = cx.store.delete(&renamed, Expected::Any).await?;
        cx.settle().await;
        ensure_absent(&other, &renamed).await?;
    }

    /// Conditions are judged by the current state, even through a handle that has seen an earlier
    /// state.
    #[needs(SecondHandle)]
    async fn conditions_are_never_judged_by_stale_data(cx) {
        let other = cx.second().await?;
        for _ in cx.rounds(50) {
            let key = cx.key();
            let first = create(&cx.store, &key, "first").await?;
            let _ = other.read(&key).await?;
            let second = put(&cx.store, &key, write("second"), When::Version(first)).await?;
            let current = ensure_conflict(other.write(&key, write("stale"), When::Version(first)).await?)?;
            ensure_eq!(current.map(|record| record.version), Some(second), "the conflict must carry the present record");
            let _ = other.read(&key).await?;
            let _ = cx.store.delete(&key, Expected::Any).await?;
            let late = other.write(&key, write("late"), When::Version(second)).await?;
            ensure_eq!(late, WriteOutcome::Conflict(None), "the record was deleted through the first handle");
            ensure_eq!(other.touch(&key, hour()).await?, false, "the record was deleted through the first handle");
            ensure_eq!(other.delete(&key, Expected::Any).await?, DeleteOutcome::Absent, "it was deleted already");
            put(&other, &key, write("anew"), When::Absent).await?;
        }
    }

    /// Concurrent increments through two handles are all counted.
    #[needs(SecondHandle)]
    async fn two_handles_lose_no_update(cx) {
        let (key, other) = (cx.key(), cx.second().await?);
        let each = cx.rounds(25);
        create(&cx.store, &key, "0").await?;
        let tasks = [cx.store.clone(), other.clone(), cx.store.clone(), other].map(|store| {
            let each = each.clone();
            async move {
                let mut done = 0_u32;
                for _ in each {
                    increment(&*store, &key).await?;
                    done += 1;
                }
                Ok(done)
            }
        });
        let mut total = 0;
        for done in all::<Checked<u32>, _>(tasks).await? {
            total += done?;
        }
        // The last increment may have come through the other handle.
        cx.settle().await;
        ensure_eq!(live(&cx.store, &key).await?.data, total.to_string().as_bytes(), "increments were lost");
    }

    /// Under load from many tasks, each task sees its own last write, never an earlier state.
    async fn own_writes_are_seen_under_load(cx) {
        let rounds = cx.rounds(20);
        let tasks = (0..32_u32).map(|task| {
            let (store, key, rounds) = (cx.store.clone(), cx.key(), rounds.clone());
            async move {
                let mut when = When::Absent;
                for n in rounds {
                    let data = format!("{task}/{n}");
                    let version = put(&*store, &key, write(data.clone()), when).await?;
                    ensure_live(&*store, &key, &data, version).await?;
                    when = When::Version(version);
                }
                let _ = store.delete(&key, Expected::Any).await?;
                ensure_absent(&*store, &key).await
            }
        });
        for done in all::<Checked, _>(tasks).await? {
            done?;
        }
    }

    /// Under load from many tasks on one session, a read that begins after a change has returned
    /// finds that change or a later one.
    async fn reads_under_load_find_what_has_returned(cx) {
        reads_find_what_has_returned(&cx).await?;
    }

    /// Sessions that were read before they were created are found afterwards, however many they
    /// are.
    async fn many_that_were_absent_are_found(cx) {
        for in_a_batch in [false, true] {
            let keys: Vec<_> = (0..200).map(|_| cx.key()).collect();
            for found in cx.store.read_many(&keys).await {
                ensure_eq!(found?.is_none(), true, "nothing was created yet");
            }
            if in_a_batch {
                let item = |key: &SessionKey| WriteItem { key: *key, write: write("x"), when: When::Absent };
                for outcome in cx.store.write_many(&keys.iter().map(item).collect::<Vec<_>>()).await {
                    ensure_eq!(outcome?, WriteOutcome::Written, "the keys were free");
                }
            } else {
                for created in join_all(keys.iter().map(|key| create(&cx.store, key, "x"))).await {
                    created?;
                }
            }
            let one_by_one = join_all(keys.iter().map(|key| cx.store.read(key))).await;
            for found in cx.store.read_many(&keys).await.into_iter().chain(one_by_one) {
                ensure_eq!(found?.is_some(), true, "a session that was created is there, though it had been looked for before");
            }
        }
    }

    /// A session that is created as soon as another has left its key is found, even if the call
    /// that ended the other one returns later.
    async fn what_is_created_behind_a_delete_is_found(cx) {
        newest::what_is_created_behind_a_delete_is_found(&cx).await?;
    }

    /// What a batch changed is seen by the next read, and what a single call changed by the next batch.
    async fn batches_and_singles_see_each_other(cx) {
        let keys: Vec<_> = (0..16).map(|_| cx.key()).collect();
        let items: Vec<_> = keys
            .iter()
            .map(|key| WriteItem { key: *key, write: write("batched"), when: When::Absent })
            .collect();
        for outcome in cx.store.write_many(&items).await {
            ensure_eq!(outcome?, WriteOutcome::Written, "the keys were free");
        }
        for item in &items {
            ensure_live(&cx.store, &item.key, "batched", item.write.version).await?;
        }
        let single = put(&cx.store, &keys[3], write("single"), When::Any).await?;
        let found = cx.store.read_many(&keys).await;
        for (at, (found, item)) in found.into_iter().zip(&items).enumerate() {
            let expected = if at == 3 { single } else { item.write.version };
            ensure_eq!(found?.map(|record| record.version), Some(expected), "item {at} of the batch is not up to date");
        }
    }

    /// Random sequences of all operations, including owners and batches, return at each step what
    /// the contract requires.
    async fn any_sequence_agrees_with_the_model(cx) {
        agrees_with_contract(&cx, 150).await?;
    }

    /// A call that begins after a session was ended does not share the answer of one that began
    /// before.
    async fn no_call_shares_the_answer_of_an_older_one(cx) {
        no_call_shares_an_older_answer(&cx).await?;
    }
}
