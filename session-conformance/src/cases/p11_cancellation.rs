use std::time::Duration;

use futures_util::future::join_all;
use session_core::{DeleteOutcome, Expected, Result, SessionKey, TouchItem, When, WriteItem, WriteOutcome};
use tokio::time::timeout;

use crate::{
    Capability, Context,
    listing::listing,
    events::hear_all,
    dropped::each_change_is_whole_or_absent,
    case::cases,
    failure::{Checked, Failure, ensure, ensure_eq},
    operations::each_operation,
    race::poll_then_drop,
    assertions::{all, create, ensure_live, hour, increment, live, millis, owned, owner, put, write},
};

async fn each_write(cx: &Context, keys: &[SessionKey]) -> Vec<Result<WriteOutcome>> {
    join_all(keys.iter().map(|key| cx.store.write(key, write("x"), When::Any))).await
}

async fn each_touch(cx: &Context, keys: &[SessionKey]) -> Vec<Result<bool>> {
    join_all(keys.iter().map(|key| cx.store.touch(key, hour()))).await
}

async fn each_delete(cx: &Context, keys: &[SessionKey]) -> Vec<Result<DeleteOutcome>> {
    join_all(keys.iter().map(|key| cx.store.delete(key, Expected::Any))).await
}

fn ensure_none_failed<T>(results: Vec<Result<T>>, what: &str) -> Checked {
    let all = results.len();
    let errors: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    ensure!(errors.is_empty(), "after dropped calls, {} of {all} calls of {what} failed: {}", errors.len(), errors[0]);
    Ok(())
}

cases! {
    promise Cancellation;

    /// A write dropped after any number of polls leaves the record as before or as after, and the
    /// store usable.
    async fn a_dropped_write_is_whole_or_absent(cx) {
        for polls in cx.rounds(24) {
            let key = cx.key();
            let before = create(&cx.store, &key, "before").await?;
            let next = write("after");
            let after = next.version;
            let _ = poll_then_drop(polls, cx.store.write(&key, next, When::Version(before))).await;
            let record = live(&cx.store, &key).await?;
            let whole = (&record.data[..] == b"before" && record.version == before)
                || (&record.data[..] == b"after" && record.version == after);
            ensure!(whole, "after {polls} polls the record is neither as before nor as after: {record:?}");
            increment(&cx.store, &key).await?;
        }
    }

    /// A creation dropped after any number of polls leaves nothing or the whole record.
    async fn a_dropped_creation_is_whole_or_absent(cx) {
        for polls in cx.rounds(24) {
            let key = cx.key();
            let _ = poll_then_drop(polls, cx.store.write(&key, write("created"), When::Absent)).await;
            if let Some(record) = cx.store.read(&key).await? {
                ensure_eq!(record.data, b"created"[..], "after {polls} polls the record is not whole");
            }
            put(&cx.store, &key, write("next"), When::Any).await?;
        }
    }

    /// Dropped deletes, touches and reads leave the record whole or gone, and the store usable.
    async fn dropped_calls_harm_nothing(cx) {
        for polls in cx.rounds(24) {
            let key = cx.key();
            let version = create(&cx.store, &key, "x").await?;
            let other = cx.key();
            let of_other = create(&cx.store, &other, "of another").await?;
            let _ = poll_then_drop(polls, cx.store.read(&key)).await;
            ensure_live(&cx.store, &other, "of another", of_other).await?;
            let _ = poll_then_drop(polls, cx.store.read_many(&[key, cx.key(), key])).await;
            let _ = poll_then_drop(polls, cx.store.touch(&key, millis(90_000))).await;
            let _ = poll_then_drop(polls, cx.store.touch_many(&[TouchItem { key, ttl: hour() }])).await;
            ensure_live(&cx.store, &key, "x", version).await?;
            let _ = poll_then_drop(polls, cx.store.delete(&key, Expected::Any)).await;
            if let Some(record) = cx.store.read(&key).await? {
                ensure_eq!(record.version, version, "after {polls} polls of a delete");
            }
            let _ = cx.store.delete(&key, Expected::Any).await?;
            ensure_eq!(cx.store.delete(&key, Expected::Any).await?, DeleteOutcome::Absent, "it was deleted just now");
        }
    }

    /// A dropped batch leaves each of its records as before or as after.
    async fn a_dropped_batch_leaves_whole_records(cx) {
        for polls in cx.rounds(24) {
            let mut items = Vec::new();
            for n in 0..6 {
                let key = cx.key();
                let version = create(&cx.store, &key, "before").await?;
                items.push(WriteItem { key, write: write(format!("after {n}")), when: When::Version(version) });
            }
            let _ = poll_then_drop(polls, cx.store.write_many(&items)).await;
            for item in &items {
                let record = live(&cx.store, &item.key).await?;
                let after = record.data == item.write.data && record.version == item.write.version;
                let before = &record.data[..] == b"before" && item.when == When::Version(record.version);
                ensure!(before || after, "after {polls} polls a record is neither as before nor as after: {record:?}");
            }
        }
    }

    /// Calls that are dropped do not affect other callers: the increments of the others are all
    /// counted.
    async fn callers_that_give_up_harm_nobody(cx) {
        let key = cx.key();
        create(&cx.store, &key, "0").await?;
        let each = cx.rounds(20);
        let tasks = (0..32_u32).map(|task| {
            let (store, each) = (cx.store.clone(), each.clone());
            let other = cx.key();
            async move {
                let mut done = 0;
                for n in each {
                    if task % 2 == 0 {
                        increment(&*store, &key).await?;
                        done += 1;
                    } else {
                        let _ = poll_then_drop(n % 4, store.write(&other, write("x"), When::Any)).await;
                        let _ = poll_then_drop(n % 3, store.read(&key)).await;
                    }
                }
                Ok(done)
            }
        });
        let mut total = 0_u32;
        for done in all::<Checked<u32>, _>(tasks).await? {
            total += done?;
        }
        ensure_eq!(live(&cx.store, &key).await?.data, total.to_string().as_bytes(), "increments were lost");
    }

    /// Each change, dropped after any number of polls, leaves the record as before or as after, in
    /// each way of seeing.
    async fn each_dropped_change_is_whole_or_absent(cx) {
        each_change_is_whole_or_absent(&cx).await?;
    }

    /// A session whose change was dropped while it waited among many others can be changed again.
    async fn many_dropped_calls_keep_nothing_back(cx) {
        let keys: Vec<_> = (0..100).map(|_| cx.key()).collect();
        for polls in 1..4 {
            let _ = poll_then_drop(polls, each_write(&cx, &keys)).await;
            ensure_none_failed(each_write(&cx, &keys).await, "write")?;
            let _ = poll_then_drop(polls, each_touch(&cx, &keys)).await;
            ensure_none_failed(each_touch(&cx, &keys).await, "touch")?;
            let _ = poll_then_drop(polls, each_delete(&cx, &keys)).await;
            ensure_none_failed(each_delete(&cx, &keys).await, "delete")?;
        }
    }

    /// Dropped listings, counts, purges and subscriptions have no effect: the next ones are
    /// correct.
    async fn dropped_questions_harm_nothing(cx) {
        let (key, name) = (cx.key(), owner("alice"));
        let mut version = put(&cx.store, &key, owned("x", "alice"), When::Absent).await?;
        for polls in cx.rounds(24) {
            let _ = poll_then_drop(polls, cx.store.ping()).await;
            if let Some(owners) = cx.store.owners() {
                let _ = poll_then_drop(polls, owners.list(&name)).await;
                let _ = poll_then_drop(polls, owners.count(&name)).await;
                ensure_eq!(owners.list(&name).await?, vec![key], "the list after {polls} polls of another");
                ensure_eq!(owners.count(&name).await?, 1, "the count after {polls} polls of another");
            }
            if let Some(maintenance) = cx.store.maintenance() {
                let _ = poll_then_drop(polls, maintenance.page(None, 10)).await;
                let _ = poll_then_drop(polls, maintenance.count()).await;
                let _ = poll_then_drop(polls, maintenance.purge_expired(10)).await;
                ensure_eq!(listing(maintenance, 1_000).await?.len(), 1, "the listing after {polls} polls of a page");
                ensure_eq!(maintenance.count().await?, 1, "the count after {polls} polls of another");
            }
            if let Some(watch) = cx.store.watch().filter(|_| cx.has(Capability::Watch)) {
                let _ = poll_then_drop(polls, watch.subscribe()).await;
                let mut events = watch.subscribe().await?;
                version = put(&cx.store, &key, write("x"), When::Version(version)).await?;
                hear_all(&mut events, [key], "a write after a dropped subscription").await?;
            }
            ensure_live(&cx.store, &key, "x", version).await?;
        }
    }

    /// Calls of any operation that are dropped again and again have no lasting effect: afterwards
    /// every operation works.
    async fn what_is_given_up_leaves_nothing_behind(cx) {
        let key = cx.key();
        put(&cx.store, &key, owned("x", "alice"), When::Absent).await?;
        for round in cx.rounds(96) {
            for call in each_operation(&*cx.store, key) {
                let name = call.name;
                let given_up = timeout(Duration::from_secs(10), poll_then_drop(1 + round % 3, call.results)).await;
                ensure!(given_up.is_ok(), "{name} does not go on when {round} rounds of calls were given up");
            }
        }
        let working = each_operation(&*cx.store, key).into_iter().map(async |call| {
            let (name, results) = (call.name, timeout(Duration::from_secs(30), call.results).await);
            let results = results.map_err(|_| Failure::new(format!("{name} does not end when others were given up")))?;
            for result in results {
                result.map_err(|error| Failure::new(format!("{name} failed when others were given up: {error}")))?;
            }
            Ok(())
        });
        let worked: Checked<Vec<()>> = join_all(working).await.into_iter().collect();
        worked?;
    }
}
