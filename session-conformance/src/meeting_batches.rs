//! Concurrent batches of the same keys.

use std::time::Duration;

use session_core::{
    DeleteItem, DeleteOutcome, Expected, SessionId, SessionKey, SessionStore, TouchItem, When, WriteItem,
};
use tokio::time::timeout;

use crate::{
    Context,
    assertions::{all, hour, write},
    failure::{Checked, Failure, ensure, ensure_eq},
    race::race,
};

/// The timeout for batches that may block each other.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends concurrent batches of touches, writes and deletes of the same keys, through both handles
/// and with the keys in all orders.
pub(crate) async fn batches_in_all_orders_end(cx: &Context) -> Checked {
    let racers = cx.racers().await?;
    let keys: Vec<_> = (0..6).map(|_| cx.key()).collect();
    let rounds = cx.rounds(30);
    let tasks = (0..8_usize).map(|task| {
        let (store, mut keys, rounds) =
            (racers[task / 2 % racers.len()].clone(), keys.clone(), rounds.clone());
        keys.rotate_left(task % 6);
        if task % 2 == 0 {
            keys.reverse();
        }
        async move {
            for round in rounds {
                let done = timeout(PATIENCE, one_batch(&*store, &keys, task + round as usize)).await;
                done.map_err(|_| {
                    Failure::new(format!(
                        "a batch among others was not done after {PATIENCE:?}: they wait for each other"
                    ))
                })??;
            }
            Ok(())
        }
    });
    all::<Checked, _>(tasks).await?.into_iter().collect()
}

async fn one_batch(store: &dyn SessionStore, keys: &[SessionKey], kind: usize) -> Checked {
    match kind % 3 {
        0 => {
            let items: Vec<_> = keys.iter().map(|key| TouchItem { key: *key, ttl: hour() }).collect();
            store.touch_many(&items).await.into_iter().try_for_each(|done| done.map(drop))?;
        }
        1 => {
            let item = |key: &SessionKey| WriteItem { key: *key, write: write("x"), when: When::Any };
            let items: Vec<_> = keys.iter().map(item).collect();
            store.write_many(&items).await.into_iter().try_for_each(|done| done.map(drop))?;
        }
        _ => {
            let items: Vec<_> =
                keys.iter().map(|key| DeleteItem { key: *key, expected: Expected::Any }).collect();
            store.delete_many(&items).await.into_iter().try_for_each(|done| done.map(drop))?;
        }
    }
    Ok(())
}

/// The number of items of a long batch: more than an engine may handle as a short one.
const LONG: usize = 120;

/// Races long batches: creations with creations, then replacements with touches, then deletes of a
/// version with replacements.
pub(crate) async fn long_batches_race(cx: &Context) -> Checked {
    let (first, second) = (cx.store.clone(), cx.rival().await?);
    let many = (0..16).map(|_| {
        let store = first.clone();
        async move {
            let keys: Vec<_> = (0..LONG).map(|_| SessionId::generate().key()).collect();
            store
                .write_many(&writes(&keys, |_| When::Absent))
                .await
                .into_iter()
                .try_for_each(|done| done.map(drop))
        }
    });
    let done = timeout(PATIENCE, all(many)).await;
    let done =
        done.map_err(|_| Failure::new("long batches at once are not done: they wait for each other"))?;
    for done in done? {
        done?;
    }
    for round in cx.rounds(12) {
        let keys: Vec<_> = (0..LONG).map(|_| cx.key()).collect();
        let (mine, theirs) = (writes(&keys, |_| When::Absent), writes(&keys, |_| When::Absent));
        let (a, b, mine_again, theirs_again) = (first.clone(), second.clone(), mine.clone(), theirs.clone());
        let (by_me, by_them) = race(round, async move { a.write_many(&mine_again).await }, async move {
            b.write_many(&theirs_again).await
        })
        .await?;
        let mut seen = Vec::new();
        for (at, (by_me, by_them)) in by_me.into_iter().zip(by_them).enumerate() {
            let (by_me, by_them) = (by_me?.is_written(), by_them?.is_written());
            ensure!(
                by_me != by_them,
                "of two creations in long batches, one must win, but of item {at}: {by_me}, {by_them}"
            );
            seen.push(if by_me { mine[at].write.version } else { theirs[at].write.version });
        }
        // A touch invalidates no writer's version, and undoes no write.
        let replacing = writes(&keys, |at| When::Version(seen[at]));
        let touches: Vec<_> = keys.iter().map(|key| TouchItem { key: *key, ttl: hour() }).collect();
        let (a, b, replacing_again) = (first.clone(), second.clone(), replacing.clone());
        let (by_me, by_them) =
            race(round + 1, async move { a.write_many(&replacing_again).await }, async move {
                b.touch_many(&touches).await
            })
            .await?;
        for (at, (by_me, by_them)) in by_me.into_iter().zip(by_them).enumerate() {
            ensure!(by_me?.is_written(), "item {at} met a conflict, and only touches beside it");
            ensure!(by_them?, "the record of item {at} was live all along");
        }
        cx.settle().await;
        ensure_all(&*first, &replacing).await?;
        // If a version is replaced concurrently, its delete ends it before that or not at all.
        let deletes: Vec<_> = replacing
            .iter()
            .map(|item| DeleteItem { key: item.key, expected: Expected::Version(item.write.version) })
            .collect();
        let later = writes(&keys, |at| When::Version(replacing[at].write.version));
        let (a, b, later_again) = (first.clone(), second.clone(), later.clone());
        let (by_me, by_them) = race(round + 2, async move { a.write_many(&later_again).await }, async move {
            b.delete_many(&deletes).await
        })
        .await?;
        let mut left = Vec::new();
        for (at, (by_me, by_them)) in by_me.into_iter().zip(by_them).enumerate() {
            let (written, outcome) = (by_me?.is_written(), by_them?);
            let expected = if written { DeleteOutcome::Conflict } else { DeleteOutcome::Deleted };
            ensure_eq!(
                outcome,
                expected,
                "the delete of item {at}, whose replacement took effect: {written}"
            );
            left.extend(Some(later[at].clone()).filter(|_| written));
        }
        cx.settle().await;
        ensure_all(&*first, &left).await?;
    }
    Ok(())
}

fn writes(keys: &[SessionKey], when: impl Fn(usize) -> When) -> Vec<WriteItem> {
    let item = |(at, key): (usize, &SessionKey)| WriteItem {
        key: *key,
        write: write(at.to_string()),
        when: when(at),
    };
    keys.iter().enumerate().map(item).collect()
}

/// Checks that the records of these writes are live.
async fn ensure_all(store: &dyn SessionStore, items: &[WriteItem]) -> Checked {
    let keys: Vec<_> = items.iter().map(|item| item.key).collect();
    for (at, (found, item)) in store.read_many(&keys).await.into_iter().zip(items).enumerate() {
        let found = found?.map(|record| record.version);
        ensure_eq!(found, Some(item.write.version), "what item {at} of a long batch has made");
    }
    Ok(())
}
