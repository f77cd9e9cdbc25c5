use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use session_core::{Expected, Maintenance, Record, SessionKey, When, WriteItem};

use crate::{
    case::cases,
    context::TICK,
    failure::{Checked, ensure, ensure_eq},
    race::race,
    steps::{create, ensure_live, hour, live, millis, owned, owner, patient_ttls, put, write},
};

async fn listing(maintenance: &dyn Maintenance, limit: usize) -> Checked<HashMap<SessionKey, Record>> {
    let mut found = HashMap::new();
    let mut cursor = None;
    for _ in 0..100_000 {
        let page = maintenance.page(cursor, limit).await?;
        found.extend(page.records);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(found);
        }
    }
    Err(crate::failure::Failure::new("the listing does not end"))
}

cases! {
    promise Maintenance;

    /// Paging meets every record, with its content, whatever the size of the pages; counting agrees.
    #[needs(Maintenance)]
    async fn paging_meets_every_record(cx) {
        let mut items: Vec<_> = (0..300)
            .map(|n| WriteItem { key: cx.key(), write: write(format!("session {n}")), when: When::Absent })
            .collect();
        items[7].write = owned("of alice", "alice");
        for outcome in cx.store.write_many(&items).await {
            let _ = outcome?;
        }
        let maintenance = cx.maintenance()?;
        ensure_eq!(maintenance.count().await?, 300, "the count of live records");
        for limit in [1_000, 37, 1, 0] {
            let found = listing(maintenance, limit).await?;
            ensure_eq!(found.len(), 300, "the records met with pages of {limit}");
            for item in &items {
                let record = found.get(&item.key);
                ensure_eq!(record.map(|record| &record.data), Some(&item.write.data), "what the listing shows");
                ensure_eq!(record.map(|record| record.version), Some(item.write.version), "what the listing shows");
            }
            let shown = found.get(&items[7].key).and_then(|record| record.owner.clone());
            ensure_eq!(shown, Some(owner("alice")), "the owner that the listing shows");
        }
    }

    /// An empty store has an empty listing that ends.
    #[needs(Maintenance)]
    async fn nothing_is_listed_where_nothing_is(cx) {
        let maintenance = cx.maintenance()?;
        ensure_eq!(maintenance.count().await?, 0, "the store is empty");
        ensure_eq!(listing(maintenance, 10).await?.len(), 0, "the store is empty");
        ensure_eq!(maintenance.purge_expired(10).await?, 0, "there is nothing to purge");
    }

    /// Paging meets every record that stays, while those met on the way are deleted and others come.
    #[needs(Maintenance)]
    async fn paging_meets_what_stays_while_others_come_and_go(cx) {
        let items: Vec<_> =
            (0..400).map(|_| WriteItem { key: cx.key(), write: write("x"), when: When::Absent }).collect();
        for outcome in cx.store.write_many(&items).await {
            let _ = outcome?;
        }
        let (mut staying, passing): (HashSet<_>, HashSet<_>) = {
            let (staying, passing) = items.split_at(200);
            (staying.iter().map(|item| item.key).collect(), passing.iter().map(|item| item.key).collect())
        };
        let maintenance = cx.maintenance()?;
        let mut cursor = None;
        loop {
            let page = maintenance.page(cursor, 16).await?;
            for (key, _) in page.records {
                staying.remove(&key);
                if passing.contains(&key) {
                    let _ = cx.store.delete(&key, Expected::Any).await?;
                    create(&cx.store, &cx.key(), "comes").await?;
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        ensure_eq!(staying.len(), 0, "records that were live throughout were not met");
    }

    /// A purge frees expired records and spares the live, however often it runs.
    #[needs(Maintenance)]
    async fn a_purge_spares_the_live(cx) {
        let (mut kept, mut brief) = (Vec::new(), Vec::new());
        for n in 0..100 {
            let key = cx.key();
            kept.push((key, create(&cx.store, &key, "kept").await?));
            let key = cx.key();
            let mut soon = write("brief");
            soon.ttl = millis(1 + n % 10);
            put(&cx.store, &key, soon, When::Absent).await?;
            brief.push(key);
        }
        tokio::time::sleep(Duration::from_millis(10) + TICK).await;
        let maintenance = cx.maintenance()?;
        for limit in [0, 7, 1_000] {
            let _ = maintenance.purge_expired(limit).await?;
        }
        for (key, version) in &kept {
            ensure_live(&cx.store, key, "kept", *version).await?;
        }
        ensure_eq!(maintenance.count().await?, 100, "the live records are counted");
    }

    /// A record that was touched, written or created anew after its first ttl would have ended is not purged.
    #[needs(Maintenance)]
    async fn a_purge_spares_what_was_renewed(cx) {
        for ttl in patient_ttls(40) {
            let (touched, written, anew) = (cx.key(), cx.key(), cx.key());
            let begun = Instant::now();
            for key in [&touched, &written, &anew] {
                let mut brief = write("brief");
                brief.ttl = ttl;
                put(&cx.store, key, brief, When::Absent).await?;
            }
            let renewed = cx.store.touch(&touched, hour()).await?;
            put(&cx.store, &written, write("renewed"), When::Any).await?;
            let _ = cx.store.delete(&anew, Expected::Any).await?;
            put(&cx.store, &anew, write("anew"), When::Any).await?;
            if begun.elapsed() > ttl.as_duration() / 2 {
                continue;
            }
            ensure!(renewed, "the record was live when it was touched");
            tokio::time::sleep_until((begun + ttl.as_duration() + ttl.as_duration() / 2 + TICK).into()).await;
            for _ in 0..3 {
                let _ = cx.maintenance()?.purge_expired(1_000).await?;
            }
            for key in [&touched, &written, &anew] {
                live(&cx.store, key).await?;
            }
            return Ok(());
        }
        ensure!(false, "six operations took longer than two seconds");
    }

    /// A purge that races the re-creation of an expired record never removes the new one.
    #[needs(Maintenance)]
    async fn a_purge_races_a_new_record(cx) {
        for round in 0..cx.rounds(100) {
            let key = cx.key();
            let mut brief = write("brief");
            brief.ttl = millis(1);
            put(&cx.store, &key, brief, When::Absent).await?;
            tokio::time::sleep(Duration::from_millis(1) + TICK).await;
            let (creator, purger) = (cx.store.clone(), cx.store.clone());
            let (created, purged) = race(
                round,
                async move { creator.write(&key, write("anew"), When::Absent).await },
                async move {
                    match purger.maintenance() {
                        Some(maintenance) => maintenance.purge_expired(1_000).await,
                        None => Ok(0),
                    }
                },
            )
            .await?;
            ensure!(created?.is_written(), "an expired record is absent");
            purged?;
            ensure_eq!(live(&cx.store, &key).await?.data, b"anew"[..], "the purge removed a live record");
        }
    }
}
