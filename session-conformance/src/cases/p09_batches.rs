use session_core::{
    DeleteItem, DeleteOutcome, ErrorKind, Operation, Expected, OwnerChange, TouchItem, Version, When, WriteItem, WriteOutcome,
};

use crate::{
    case::cases,
    meeting_batches::{batches_in_all_orders_end, long_batches_race},
    failure::{Checked, ensure, ensure_eq},
    assertions::{all, create, ensure_absent, ensure_error, ensure_live, hour, live, millis, owned, owner, put, write},
};

fn item(key: session_core::SessionKey, data: &str, when: When) -> WriteItem {
    WriteItem { key, write: write(data.to_owned()), when }
}

cases! {
    promise Batches;

    /// Batched reads answer in the order of the keys, with repeated keys and missing ones among them.
    async fn reads_answer_in_order(cx) {
        let keys: Vec<_> = (0..5).map(|_| cx.key()).collect();
        for (n, key) in keys.iter().enumerate() {
            create(&cx.store, key, &format!("session {n}")).await?;
        }
        let order = [Some(3), None, Some(0), Some(3), Some(4), None, Some(1), Some(0), Some(2), Some(3)];
        let asked: Vec<_> = order.iter().map(|at| at.map_or_else(|| cx.key(), |at: usize| keys[at])).collect();
        let found = cx.store.read_many(&asked).await;
        ensure_eq!(found.len(), asked.len(), "one result for each item");
        for (place, (found, at)) in found.into_iter().zip(order).enumerate() {
            let data = found?.map(|record| String::from_utf8_lossy(&record.data).into_owned());
            ensure_eq!(data, at.map(|at| format!("session {at}")), "result {place} belongs to another item");
        }
    }

    /// Batched writes are judged one by one: conditions that hold and conditions that do not, each
    /// with its own outcome.
    async fn writes_are_judged_one_by_one(cx) {
        let keys: Vec<_> = (0..8).map(|_| cx.key()).collect();
        let mut versions = Vec::new();
        for key in &keys[..4] {
            versions.push(put(&cx.store, key, owned("before", "alice"), When::Absent).await?);
        }
        let mut items = vec![
            item(keys[0], "w0", When::Version(versions[0])),
            item(keys[1], "w1", When::Version(Version::random())),
            item(keys[2], "w2", When::Absent),
            item(keys[3], "w3", When::Any),
            item(keys[4], "w4", When::Absent),
            item(keys[5], "w5", When::Version(versions[0])),
            item(keys[6], "w6", When::Any),
            item(keys[7], "", When::Absent),
        ];
        items[0].write.owner = OwnerChange::Clear;
        items[3].write.owner = OwnerChange::Set(owner("bob"));
        items[6].write.ttl = millis(60_000);
        let outcomes = cx.store.write_many(&items).await;
        ensure_eq!(outcomes.len(), items.len(), "one result for each item");
        let wins = [true, false, false, true, true, false, true, true];
        let carried = [None, Some(versions[1]), Some(versions[2]), None, None, None, None, None];
        for (at, outcome) in outcomes.into_iter().enumerate() {
            let outcome = outcome?;
            ensure_eq!(outcome.is_written(), wins[at], "whether item {at} takes effect");
            if let WriteOutcome::Conflict(current) = outcome {
                ensure_eq!(current.map(|record| record.version), carried[at], "what the conflict of item {at} carries");
            }
        }
        for (at, item) in items.iter().enumerate() {
            match (wins[at], carried[at]) {
                (true, _) => {
                    let data = String::from_utf8_lossy(&item.write.data).into_owned();
                    ensure_live(&cx.store, &item.key, &data, item.write.version).await?;
                }
                (false, Some(version)) => drop(ensure_live(&cx.store, &item.key, "before", version).await?),
                (false, None) => ensure_absent(&cx.store, &item.key).await?,
            }
        }
        let owners: Vec<_> = [0, 1, 3].map(|at| keys[at]).into_iter().collect();
        let mut found = Vec::new();
        for key in &owners {
            found.push(live(&cx.store, key).await?.owner);
        }
        ensure_eq!(found, [None, Some(owner("alice")), Some(owner("bob"))], "the owners after the batch");
    }

    /// Several writes of one key in a batch take effect one after another, in their order.
    async fn writes_of_one_key_take_their_turns(cx) {
        let (key, other) = (cx.key(), cx.key());
        let mut items = vec![
            item(key, "a", When::Absent),
            item(key, "b", When::Absent),
            item(other, "x", When::Absent),
            item(key, "c", When::Any),
        ];
        items.push(item(key, "d", When::Version(items[3].write.version)));
        items.push(item(key, "e", When::Version(items[0].write.version)));
        items.push(item(key, "f", When::Version(items[4].write.version)));
        let outcomes = cx.store.write_many(&items).await;
        ensure_eq!(outcomes.len(), items.len(), "one result for each item");
        for (at, (outcome, wins)) in outcomes.into_iter().zip([true, false, true, true, true, false, true]).enumerate() {
            ensure_eq!(outcome?.is_written(), wins, "whether item {at} takes effect after the ones before it");
        }
        ensure_live(&cx.store, &key, "f", items[6].write.version).await?;
        ensure_live(&cx.store, &other, "x", items[2].write.version).await?;
    }

    /// One item that is too large fails alone, at any position.
    async fn one_bad_item_fails_alone(cx) {
        let max = cx.store.max_data_len();
        for bad in [0, 3, 6] {
            let mut items: Vec<_> = (0..7).map(|n| item(cx.key(), &format!("good {n}"), When::Absent)).collect();
            items[bad].write.data = vec![b'x'; max + 1].into();
            let outcomes = cx.store.write_many(&items).await;
            ensure_eq!(outcomes.len(), items.len(), "one result for each item");
            for (at, outcome) in outcomes.into_iter().enumerate() {
                if at == bad {
                    ensure_error(outcome, ErrorKind::TooLarge { len: max + 1, max }, Operation::Write)?;
                    ensure_absent(&cx.store, &items[at].key).await?;
                } else {
                    ensure_eq!(outcome?, WriteOutcome::Written, "item {at} is good; item {bad} is not");
                    ensure_live(&cx.store, &items[at].key, &format!("good {at}"), items[at].write.version).await?;
                }
            }
        }
    }

    /// Batched touches answer in order, repeated and missing keys included, and each has its own ttl.
    async fn touches_answer_in_order(cx) {
        let keys: Vec<_> = (0..3).map(|_| cx.key()).collect();
        for key in &keys {
            create(&cx.store, key, "x").await?;
        }
        let ttls = [10_000, 20_000, 30_000, 40_000, 50_000];
        let order = [keys[1], cx.key(), keys[0], keys[1], keys[2]];
        let items: Vec<_> = order.iter().zip(ttls).map(|(key, ttl)| TouchItem { key: *key, ttl: millis(ttl) }).collect();
        let touched = cx.store.touch_many(&items).await;
        ensure_eq!(touched.len(), items.len(), "one result for each item");
        for (at, (touched, expected)) in touched.into_iter().zip([true, false, true, true, true]).enumerate() {
            ensure_eq!(touched?, expected, "whether item {at} was live");
        }
        for (key, seconds) in [(keys[0], 30), (keys[1], 40), (keys[2], 50)] {
            let left = live(&cx.store, &key).await?.expires_in.as_secs_f64();
            ensure!(left > f64::from(seconds) - 5.0 && left < f64::from(seconds) + 0.1, "{left} s left of {seconds}");
        }
        ensure_absent(&cx.store, &order[1]).await?;
    }

    /// Batched deletes answer in order: the first of a repeated key ends the record, and versions
    /// are respected.
    async fn deletes_answer_in_order(cx) {
        let keys: Vec<_> = (0..4).map(|_| cx.key()).collect();
        let mut versions = Vec::new();
        for key in &keys {
            versions.push(create(&cx.store, key, "x").await?);
        }
        let delete = |key, expected| DeleteItem { key, expected };
        let items = [
            delete(keys[0], Expected::Any),
            delete(keys[1], Expected::Version(versions[0])),
            delete(cx.key(), Expected::Any),
            delete(keys[0], Expected::Any),
            delete(keys[2], Expected::Version(versions[2])),
            delete(keys[1], Expected::Version(versions[1])),
        ];
        let expected = [
            DeleteOutcome::Deleted,
            DeleteOutcome::Conflict,
            DeleteOutcome::Absent,
            DeleteOutcome::Absent,
            DeleteOutcome::Deleted,
            DeleteOutcome::Deleted,
        ];
        let outcomes = cx.store.delete_many(&items).await;
        ensure_eq!(outcomes.len(), items.len(), "one result for each item");
        for (at, (outcome, expected)) in outcomes.into_iter().zip(expected).enumerate() {
            ensure_eq!(outcome?, expected, "the outcome of item {at}");
        }
        for key in &keys[..3] {
            ensure_absent(&cx.store, key).await?;
        }
        ensure_live(&cx.store, &keys[3], "x", versions[3]).await?;
    }

    /// Empty batches give empty results.
    async fn empty_batches_are_fine(cx) {
        ensure!(cx.store.read_many(&[]).await.is_empty(), "no items, no results");
        ensure!(cx.store.write_many(&[]).await.is_empty(), "no items, no results");
        ensure!(cx.store.touch_many(&[]).await.is_empty(), "no items, no results");
        ensure!(cx.store.delete_many(&[]).await.is_empty(), "no items, no results");
    }

    /// Batches of 5,000 items work, with every third item answered differently, and another handle
    /// sees the results.
    async fn large_batches_work(cx) {
        const ITEMS: usize = 5_000;
        let other = cx.handles().await?.pop().unwrap_or_else(|| cx.store.clone());
        let mut items: Vec<_> = (0..ITEMS).map(|n| item(cx.key(), &format!("session {n}"), When::Absent)).collect();
        for outcome in cx.store.write_many(&items).await {
            ensure_eq!(outcome?, WriteOutcome::Written, "the keys were free");
        }
        let missing = |at: usize| at % 3 == 2;
        // In a second batch, every third item names a version that never existed.
        let mut later = Vec::new();
        for (at, first) in items.iter().enumerate() {
            let seen = if missing(at) { Version::random() } else { first.write.version };
            later.push(item(first.key, &format!("again {at}"), When::Version(seen)));
        }
        let outcomes = other.write_many(&later).await;
        ensure_eq!(outcomes.len(), ITEMS, "one result for each item");
        for (at, outcome) in outcomes.into_iter().enumerate() {
            let carried = match outcome? {
                WriteOutcome::Written => None,
                WriteOutcome::Conflict(current) => current.map(|record| record.version),
            };
            let expected = missing(at).then_some(items[at].write.version);
            ensure_eq!(carried, expected, "what the conflict of item {at} carries, if it is one");
            if !missing(at) {
                items[at] = later[at].clone();
            }
        }
        cx.settle().await;
        let asked: Vec<_> = items.iter().enumerate().map(|(at, item)| if missing(at) { cx.key() } else { item.key }).collect();
        for (handle, store) in [&cx.store, &other].into_iter().enumerate() {
            let found = store.read_many(&asked).await;
            ensure_eq!(found.len(), ITEMS, "one result for each item");
            for (at, found) in found.into_iter().enumerate() {
                let found = found?.map(|record| (record.version, record.data));
                let expected = (!missing(at)).then(|| (items[at].write.version, items[at].write.data.clone()));
                ensure_eq!(found, expected, "what item {at} reads through handle {handle}");
            }
        }
        let touches: Vec<_> = asked.iter().map(|key| TouchItem { key: *key, ttl: hour() }).collect();
        let touched = cx.store.touch_many(&touches).await;
        ensure_eq!(touched.len(), ITEMS, "one result for each item");
        for (at, touched) in touched.into_iter().enumerate() {
            ensure_eq!(touched?, !missing(at), "whether item {at} was live");
        }
        let deletes: Vec<_> = asked.iter().map(|key| DeleteItem { key: *key, expected: Expected::Any }).collect();
        let deleted = other.delete_many(&deletes).await;
        ensure_eq!(deleted.len(), ITEMS, "one result for each item");
        for (at, outcome) in deleted.into_iter().enumerate() {
            let expected = if missing(at) { DeleteOutcome::Absent } else { DeleteOutcome::Deleted };
            ensure_eq!(outcome?, expected, "the outcome of item {at}");
        }
    }

    /// Batches with more bytes than a packet of any engine work: written, read, and returned by
    /// conflicts.
    async fn heavy_batches_work(cx) {
        let max = cx.store.max_data_len();
        let many = ((24 << 20) / max.max(1)).clamp(2, 100);
        let items: Vec<_> = (0..many)
            .map(|n| WriteItem { key: cx.key(), write: write(vec![u8::try_from(n).unwrap_or(0); max]), when: When::Absent })
            .collect();
        for outcome in cx.store.write_many(&items).await {
            ensure_eq!(outcome?, WriteOutcome::Written, "the keys were free");
        }
        let keys: Vec<_> = items.iter().map(|item| item.key).collect();
        let found = cx.store.read_many(&keys).await;
        ensure_eq!(found.len(), many, "one result for each item");
        for (at, (found, item)) in found.into_iter().zip(&items).enumerate() {
            ensure!(found?.is_some_and(|record| record.data == item.write.data), "item {at} reads other data");
        }
        let again: Vec<_> = items.iter().map(|first| WriteItem { write: write("x"), ..first.clone() }).collect();
        let outcomes = cx.store.write_many(&again).await;
        ensure_eq!(outcomes.len(), many, "one result for each item");
        for (at, (outcome, item)) in outcomes.into_iter().zip(&items).enumerate() {
            let carried = crate::assertions::ensure_conflict(outcome?)?;
            ensure!(carried.is_some_and(|record| record.data == item.write.data), "the conflict of item {at} carries other data");
        }
    }

    /// Items of one key that are far apart in a batch are executed in their order.
    async fn items_of_one_key_far_apart_take_their_turns(cx) {
        let key = cx.key();
        let mut writes = vec![item(key, "0", When::Absent)];
        for n in 1..20 {
            // There are many keys in between, so the writes of the one key are in separate parts.
            writes.extend((0..40).map(|_| item(cx.key(), "between", When::Absent)));
            let before = writes.iter().rev().find(|item| item.key == key).map(|item| item.write.version);
            writes.push(item(key, &n.to_string(), before.map_or(When::Absent, When::Version)));
        }
        let written = cx.store.write_many(&writes).await;
        ensure_eq!(written.len(), writes.len(), "one result for each item");
        for (at, outcome) in written.into_iter().enumerate() {
            ensure_eq!(outcome?, WriteOutcome::Written, "item {at}, which stands on the one before it");
        }
        ensure_eq!(live(&cx.store, &key).await?.data, b"19"[..], "the last of the writes");
        let between: Vec<_> = (0..1_500).map(|_| cx.key()).collect();
        let touch = |key, ttl| TouchItem { key, ttl: millis(ttl) };
        let mut touches: Vec<_> = between.iter().map(|key| touch(*key, 70_000)).collect();
        touches.insert(0, touch(key, 80_000));
        touches.push(touch(key, 3_000_500));
        let touched = cx.store.touch_many(&touches).await;
        ensure_eq!(touched.len(), touches.len(), "one result for each item");
        for (at, touched) in touched.into_iter().enumerate() {
            ensure_eq!(touched?, at == 0 || at + 1 == touches.len(), "whether item {at} was live");
        }
        let left = live(&cx.store, &key).await?.expires_in;
        ensure!(left > millis(2_900_000).as_duration(), "the last touch of a batch counts, and {left:?} are left");
        let delete = |key| DeleteItem { key, expected: Expected::Any };
        let mut deletes: Vec<_> = between.iter().map(|key| delete(*key)).collect();
        deletes.insert(0, delete(key));
        deletes.push(delete(key));
        let deleted = cx.store.delete_many(&deletes).await;
        ensure_eq!(deleted.len(), deletes.len(), "one result for each item");
        for (at, outcome) in deleted.into_iter().enumerate() {
            let expected = if at == 0 { DeleteOutcome::Deleted } else { DeleteOutcome::Absent };
            ensure_eq!(outcome?, expected, "the outcome of item {at}");
        }
    }

    /// Overlapping batches of conditional increments, in different orders of the keys, lose nothing
    /// and never block each other.
    async fn overlapping_batches_lose_nothing(cx) {
        let keys: Vec<_> = (0..6).map(|_| cx.key()).collect();
        for key in &keys {
            create(&cx.store, key, "0").await?;
        }
        let rounds = cx.rounds(15);
        let racers = cx.racers().await?;
        let tasks = (0..8_usize).map(|task| {
            let store = racers[task / 2 % racers.len()].clone();
            let (mut keys, rounds) = (keys.clone(), rounds.clone());
            keys.rotate_left(task % 6);
            if task % 2 == 0 {
                keys.reverse();
            }
            async move {
                let mut wins = 0_u64;
                for _ in rounds {
                    let mut items = Vec::new();
                    for (key, found) in keys.iter().zip(store.read_many(&keys).await) {
                        let Some(record) = found? else { continue };
                        let number: u64 = String::from_utf8_lossy(&record.data).parse().unwrap_or(0);
                        items.push(item(*key, &(number + 1).to_string(), When::Version(record.version)));
                    }
                    for outcome in store.write_many(&items).await {
                        wins += u64::from(outcome?.is_written());
                    }
                }
                Ok(wins)
            }
        });
        let mut wins = 0;
        for done in all::<Checked<u64>, _>(tasks).await? {
            wins += done?;
        }
        let mut total = 0_u64;
        for key in &keys {
            total += String::from_utf8_lossy(&live(&cx.store, key).await?.data).parse::<u64>().unwrap_or(0);
        }
        ensure_eq!(total, wins, "the counters must hold exactly the increments that were reported as written");
        ensure!(wins > 0, "no increment came through at all");
    }

    /// Concurrent batches of touches, and of deletes and writes, in different orders of their keys
    /// never block each other.
    async fn batches_that_meet_end(cx) {
        batches_in_all_orders_end(&cx).await?;
    }

    /// Of two long concurrent batches of changes of the same keys, through both handles, one
    /// executes each item, as if the item were alone.
    async fn long_batches_take_turns_at_each_key(cx) {
        long_batches_race(&cx).await?;
    }
}
