use session_core::{DeleteOutcome, Expected, TouchItem, When, WriteItem};

use crate::{
    case::cases,
    failure::{Checked, ensure, ensure_eq},
    race::poll_then_drop,
    steps::{all, create, ensure_live, hour, increment, live, millis, put, write},
};

cases! {
    promise Cancellation;

    /// A write polled any number of times and dropped leaves the record as before or as after, and the store usable.
    async fn a_dropped_write_is_whole_or_absent(cx) {
        for polls in 0..cx.rounds(24) {
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

    /// A creation polled any number of times and dropped leaves nothing or the whole record.
    async fn a_dropped_creation_is_whole_or_absent(cx) {
        for polls in 0..cx.rounds(24) {
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
        for polls in 0..cx.rounds(24) {
            let key = cx.key();
            let version = create(&cx.store, &key, "x").await?;
            let _ = poll_then_drop(polls, cx.store.read(&key)).await;
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
        for polls in 0..cx.rounds(24) {
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

    /// Callers that give up harm nobody beside them: the others' increments are all counted.
    async fn callers_that_give_up_harm_nobody(cx) {
        let key = cx.key();
        create(&cx.store, &key, "0").await?;
        let each = cx.rounds(20);
        let tasks = (0..32_u32).map(|task| {
            let store = cx.store.clone();
            let other = cx.key();
            async move {
                let mut done = 0;
                for n in 0..each {
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
}
