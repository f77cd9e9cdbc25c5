use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use session_core::{Expected, SessionKey, When, WriteItem};

use crate::{
    extensions,
    Capability,
    renewed::{each_is_there_until_its_end, each_renewal_counts, each_renewed_session_ends},
    case::cases,
    context::TICK,
    failure::{ensure, ensure_eq},
    listing::listing,
    race::race,
    assertions::{create, ensure_live, hour, live, millis, owned, owner, patient_ttls, put, write},
};

cases! {
    promise Maintenance;

    /// Paging visits every record, with its content, for any page size. The count agrees.
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
        for limit in [1_000, 37] {
            let found: HashMap<_, _> = listing(maintenance, limit).await?.into_iter().map(|listed| (listed.key, listed.record)).collect();
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
        ensure_eq!(listing(maintenance, 1_000).await?.len(), 0, "the store is empty");
        ensure_eq!(maintenance.purge_expired(10).await?, 0, "there is nothing to purge");
    }

    /// A purge frees expired records and spares live ones, however often it runs.
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

    /// A record that was touched, written or created anew is listed and counted after its first
    /// ttl, and is not purged.
    #[needs(Maintenance)]
    async fn a_purge_spares_what_was_renewed(cx) {
        for ttl in patient_ttls(40) {
            let (touched, written, anew) = (cx.key(), cx.key(), cx.key());
            let begun = Instant::now();
            for key in [&touched, &written, &anew] {
                let mut brief = owned("brief", "alice");
                brief.ttl = ttl;
                put(&cx.store, key, brief, When::Absent).await?;
            }
            let renewed = cx.store.touch(&touched, hour()).await?;
            put(&cx.store, &written, write("renewed"), When::Any).await?;
            let _ = cx.store.delete(&anew, Expected::Any).await?;
            put(&cx.store, &anew, owned("anew", "alice"), When::Any).await?;
            if begun.elapsed() > ttl.as_duration() / 2 {
                for key in [&touched, &written, &anew] {
                    let _ = cx.store.delete(key, Expected::Any).await?;
                }
                continue;
            }
            ensure!(renewed, "the record was live when it was touched");
            tokio::time::sleep_until((begun + ttl.as_duration() + ttl.as_duration() / 2 + TICK).into()).await;
            // Before the first explicit purge.
            let maintenance = cx.maintenance()?;
            for limit in [1_000, 1] {
                let met: HashSet<_> = listing(maintenance, limit).await?.into_iter().map(|listed| listed.key).collect();
                ensure_eq!(met, HashSet::from([touched, written, anew]), "what was renewed, in pages of {limit}");
            }
            ensure_eq!(maintenance.count().await?, 3, "how many were renewed, by the count");
            if let Some(owners) = cx.store.owners() {
                ensure_eq!(owners.count(&owner("alice")).await?, 3, "how many were renewed, by their owner's count");
                ensure_eq!(owners.list(&owner("alice")).await?.len(), 3, "how many were renewed, by their owner's list");
            }
            for _ in 0..3 {
                let _ = maintenance.purge_expired(1_000).await?;
            }
            for key in [&touched, &written, &anew] {
                live(&cx.store, key).await?;
            }
            return Ok(());
        }
        cx.fall_short("six operations took longer than two seconds".to_owned());
    }

    /// A purge that races the re-creation of an expired record never removes the new one.
    #[needs(Maintenance)]
    async fn a_purge_races_a_new_record(cx) {
        let (rival, mut made) = (cx.rival().await?, Vec::new());
        for round in cx.rounds(100) {
            let key = cx.key();
            let mut brief = owned("brief", "alice");
            brief.ttl = millis(1);
            let version = put(&cx.store, &key, brief, When::Absent).await?;
            tokio::time::sleep(Duration::from_millis(1) + TICK).await;
            let (creator, purger) = (cx.store.clone(), rival.clone());
            let mut anew = owned("anew", "alice");
            if round % 4 > 1 {
                // The same write that has expired, with a longer ttl.
                anew.version = version;
            }
            let (created, purged) = race(
                round,
                async move { creator.write(&key, anew, When::Absent).await },
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
            made.push(key);
        }
        tokio::time::sleep(TICK * 5).await;
        if let Some(owners) = cx.store.owners().filter(|_| cx.has(Capability::Owners)) {
            let listed = owners.list(&owner("alice")).await?;
            let missing = made.iter().find(|key| !listed.contains(key));
            ensure!(missing.is_none(), "the index has lost {missing:?}, which was created while a purge freed the one before");
        }
    }

    /// A purge returns how many records it has freed: no more than have expired, and none twice.
    #[needs(Maintenance)]
    async fn a_purge_counts_what_it_frees(cx) {
        const EXPIRED: u64 = 40;
        const BRIEF: u64 = 25;
        let handles = cx.handles().await?;
        let (mut expired, mut lasting) = (0, 0);
        for (n, store) in (0..3 * EXPIRED).zip(handles.iter().cycle()) {
            let (key, mut soon) = (cx.key(), owned("brief", "alice"));
            soon.ttl = millis(BRIEF);
            if n % 3 == 0 {
                soon.ttl = hour();
            }
            put(&**store, &key, soon, When::Absent).await?;
            // One in three has a long ttl. Another one in three is prolonged, if that is not too
            // late.
            let lasts = n % 3 == 0 || n % 3 == 1 && store.touch(&key, hour()).await?;
            *(if lasts { &mut lasting } else { &mut expired }) += 1;
        }
        tokio::time::sleep(Duration::from_millis(BRIEF) + TICK).await;
        let mut freed = 0;
        for limit in [0, 1, 7, usize::MAX, 1_000, 1_000] {
            for store in &handles {
                let maintenance = extensions::maintenance(store)?;
                let now = maintenance.purge_expired(limit).await?;
                freed += now;
                ensure!(freed <= expired, "purges have freed {freed} records, and {expired} have expired");
            }
        }
        for store in &handles {
            let maintenance = extensions::maintenance(store)?;
            ensure_eq!(maintenance.purge_expired(1_000).await?, 0, "nothing is left to purge");
            ensure_eq!(maintenance.count().await?, lasting, "the live records are counted");
        }
    }

    /// A purge frees all expired records, and returns how many.
    #[needs(Maintenance, Purge)]
    async fn a_purge_frees_what_has_expired(cx) {
        const EXPIRED: u64 = 40;
        let mut most = 0;
        // Records that the store frees by itself meanwhile are not counted, but that does not
        // happen each time.
        for _ in 0..20 {
            let mut items: Vec<_> =
                (0..EXPIRED).map(|_| WriteItem { key: cx.key(), write: owned("x", "alice"), when: When::Absent }).collect();
            for item in &mut items {
                item.write.ttl = millis(1);
            }
            for outcome in cx.store.write_many(&items).await {
                let _ = outcome?;
            }
            tokio::time::sleep(Duration::from_millis(1) + TICK).await;
            let mut freed = 0;
            loop {
                let now = cx.maintenance()?.purge_expired(1_000).await?;
                freed += now;
                if now == 0 {
                    break;
                }
            }
            if freed == EXPIRED {
                return Ok(());
            }
            most = freed.max(most);
        }
        ensure!(false, "20 times {EXPIRED} records had expired, and purges have freed at most {most} of them");
    }

    /// A session that was prolonged, in each way and through each handle, is spared by purges, and
    /// seen in each way.
    async fn each_way_of_giving_more_time_counts(cx) {
        each_renewal_counts(&cx).await?;
    }

    /// A prolonged session ends at its new expiry: for reads, counts, listings, the owner index,
    /// and listeners.
    async fn each_renewed_session_ends_at_last(cx) {
        each_renewed_session_ends(&cx).await?;
    }

    /// A purge frees about as many records as requested, and not many more.
    #[needs(Maintenance)]
    async fn a_purge_frees_about_as_many_as_asked(cx) {
        let mut items: Vec<_> =
            (0..600).map(|_| WriteItem { key: cx.key(), write: write("x"), when: When::Absent }).collect();
        for item in &mut items {
            item.write.ttl = millis(1);
        }
        for outcome in cx.store.write_many(&items).await {
            let _ = outcome?;
        }
        tokio::time::sleep(Duration::from_millis(1) + TICK).await;
        let mut none_by = None;
        for limit in [0, 1, 10] {
            let freed = cx.maintenance()?.purge_expired(limit).await?;
            ensure!(freed < 300, "a purge of about {limit} has freed {freed} records");
            none_by = none_by.or((freed == 0).then_some(limit));
        }
        let beyond = usize::try_from(1_u64 << 32).unwrap_or(usize::MAX);
        let left = cx.maintenance()?.purge_expired(beyond).await?;
        ensure!(
            none_by.is_none() || left == 0,
            "a purge of about {none_by:?} has found nothing to free, and a later one frees {left} that had expired before"
        );
    }

    /// A session is there until its expiry: for purges, for listings, for counts, and in each way
    /// of seeing, through each handle.
    async fn a_session_is_there_until_its_end(cx) {
        each_is_there_until_its_end(&cx).await?;
    }

    /// A count through another handle includes recent changes.
    #[needs(Maintenance, SecondHandle)]
    async fn counts_are_fresh_through_each_handle(cx) {
        let handles = cx.handles().await?;
        let mut keys: Vec<SessionKey> = Vec::new();
        for round in 0..24_usize {
            let changer = &handles[round % handles.len()];
            match keys.pop() {
                Some(key) if round % 3 == 2 => drop(changer.delete(&key, Expected::Any).await?),
                last => {
                    keys.extend(last);
                    keys.push(cx.key());
                    create(&**changer, &keys[keys.len() - 1], "x").await?;
                }
            }
            cx.settle().await;
            for store in &handles {
                let counted = extensions::maintenance(store)?.count().await?;
                ensure_eq!(counted, keys.len() as u64, "the count in round {round}");
            }
        }
    }
}
