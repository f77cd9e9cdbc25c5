use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use session_core::{Cursor, ErrorKind, Expected, Operation, Page, SessionKey, SessionStore, When, WriteItem};

use crate::{
    extensions,
    case::cases,
    context::TICK,
    failure::{Checked, ensure, ensure_eq},
    listing::listing,
    assertions::{create, millis, put, write},
};

/// The time after which a listing counts as too slow here. An engine that keeps all namespaces in
/// one place pages through all of them.
const LONGEST: Duration = Duration::from_secs(20);

/// Returns a page, and checks that it holds only these records.
async fn page_of(store: &dyn SessionStore, cursor: Option<Cursor>, limit: usize, all: &HashSet<SessionKey>) -> Checked<Page> {
    let maintenance = extensions::maintenance(store)?;
    let page = maintenance.page(cursor, limit).await?;
    ensure!(page.records.iter().all(|(key, _)| all.contains(key)), "a page shows a record that was never made");
    Ok(page)
}

cases! {
    promise Maintenance;

    /// Paging visits every record that stays, while visited records are deleted and others are
    /// created.
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
            // Records that were not visited yet get a longer or shorter ttl.
            if let Some(key) = staying.iter().next() {
                cx.store.touch(key, millis(if staying.len() % 2 == 0 { 100_000 } else { 9_000_000 })).await?;
            }
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

    /// Pages are about as long as requested, and any large limit is accepted.
    #[needs(Maintenance)]
    async fn pages_are_about_as_long_as_wished(cx) {
        let items: Vec<_> =
            (0..600).map(|_| WriteItem { key: cx.key(), write: write("x"), when: When::Absent }).collect();
        for outcome in cx.store.write_many(&items).await {
            let _ = outcome?;
        }
        let maintenance = cx.maintenance()?;
        let beyond = usize::try_from(1_u64 << 32).unwrap_or(usize::MAX);
        ensure_eq!(listing(maintenance, beyond).await?.len(), 600, "the records met with pages of {beyond}");
        for limit in [0, 1, 10] {
            let page = maintenance.page(None, limit).await?;
            ensure!(page.records.len() < 300, "{} records on a page of about {limit}", page.records.len());
        }
        ensure_eq!(listing(maintenance, usize::MAX).await?.len(), 600, "the records met with the longest pages");
    }

    /// The smallest and the largest keys are visited, in long and in short pages.
    #[needs(Maintenance)]
    async fn the_first_and_the_last_key_are_met(cx) {
        let mut keys = HashSet::new();
        for fill in [0_u8, 0xff, 0x7f, 0x80] {
            let mut bytes = [fill; SessionKey::LEN];
            keys.insert(SessionKey::from_bytes(bytes));
            bytes[SessionKey::LEN - 1] ^= 1;
            keys.insert(SessionKey::from_bytes(bytes));
        }
        for key in &keys {
            create(&cx.store, key, "at an end").await?;
        }
        let maintenance = cx.maintenance()?;
        for limit in [1_000, 2, 1] {
            let met: HashSet<_> = listing(maintenance, limit).await?.into_iter().map(|listed| listed.key).collect();
            ensure_eq!(met, keys, "the keys that a listing in pages of {limit} meets");
        }
        ensure_eq!(maintenance.count().await?, keys.len() as u64, "how many are counted");
    }

    /// A cursor that this store did not make is refused, or is an arbitrary position in a listing
    /// that continues and ends as any other.
    #[needs(Maintenance)]
    async fn foreign_cursors_do_no_harm(cx) {
        let mut mine = HashSet::new();
        for _ in 0..40 {
            let key = cx.key();
            create(&cx.store, &key, "mine").await?;
            mine.insert(key);
        }
        let there = cx.another_namespace().await?;
        let mut cursors: Vec<Cursor> = [vec![], vec![0], vec![0xff; 8], vec![0xff; 33], vec![0; 1_024], b"garbage".to_vec()]
            .into_iter()
            .map(Cursor::new)
            .collect();
        for _ in 0..40 {
            create(&there, &cx.key(), "theirs").await?;
        }
        let elsewhere = extensions::maintenance(&there)?;
        cursors.extend(elsewhere.page(None, 5).await?.next);
        let maintenance = cx.maintenance()?;
        for cursor in cursors {
            let what = format!("{cursor:?}");
            let mut next = Some(cursor);
            for pages in 0.. {
                ensure!(pages < 10_000, "a listing from a foreign cursor does not end ({what})");
                match maintenance.page(next, 500).await {
                    Ok(page) => {
                        let strange = page.records.iter().find(|(key, _)| !mine.contains(key));
                        ensure!(strange.is_none(), "a foreign cursor ({what}) shows a record of elsewhere");
                        next = page.next;
                        if next.is_none() {
                            break;
                        }
                    }
                    Err(error) => {
                        let is_refused = error.kind() == ErrorKind::Config && error.operation() == Operation::Page;
                        ensure!(is_refused, "a foreign cursor ({what}) must be refused as Config, of a page, not as: {error}");
                        break;
                    }
                }
            }
        }
        ensure_eq!(listing(maintenance, 700).await?.len(), 40, "the listing after that");
    }

    /// The smallest pages visit every record, too.
    #[needs(Maintenance)]
    async fn the_smallest_pages_meet_every_record(cx) {
        let mut waiting = HashSet::new();
        for _ in 0..60 {
            let key = cx.key();
            create(&cx.store, &key, "x").await?;
            waiting.insert(key);
            // Whole pages of expired records are between them.
            for _ in 0..3 {
                let mut brief = write("x");
                brief.ttl = millis(1);
                put(&cx.store, &cx.key(), brief, When::Absent).await?;
            }
        }
        tokio::time::sleep(Duration::from_millis(1) + TICK).await;
        for limit in [0, 1, 3] {
            let (begun, mut left, mut cursor, mut pages) = (Instant::now(), waiting.clone(), None, 0);
            loop {
                // In a shared keyspace, longer pages skip most of the records of others.
                let limit = if pages < 1_000 { limit } else { 1_000 };
                let page = cx.maintenance()?.page(cursor.clone(), limit).await?;
                ensure!(
                    page.next.is_none() || page.next != cursor,
                    "a page of {limit} gives the cursor back that it was asked for: the listing does not go on"
                );
                pages += 1;
                for (key, _) in page.records {
                    ensure!(waiting.contains(&key), "a page shows a record that was never made");
                    left.remove(&key);
                }
                cursor = page.next;
                if cursor.is_none() {
                    ensure!(left.is_empty(), "{} of 60 records were not met with pages of {limit}", left.len());
                    break;
                }
                if begun.elapsed() > LONGEST {
                    cx.fall_short(format!("{pages} pages of {limit} in {LONGEST:?}"));
                    return Ok(());
                }
            }
        }
    }

    /// A cursor can be used twice, and concurrent listings do not disturb each other.
    #[needs(Maintenance)]
    async fn cursors_are_places_and_nothing_else(cx) {
        let mut all = HashSet::new();
        for _ in 0..60 {
            let key = cx.key();
            create(&cx.store, &key, "x").await?;
            all.insert(key);
        }
        let handles = cx.handles().await?;
        // The listings take turns. Each cursor is used twice, first through the other handle, and
        // the listing continues with the second answer. The pages may differ, because an engine may
        // move its records meanwhile. The pages grow, because a keyspace may be shared with others.
        let mut limits = (0..).map(|round| 7 << (round / 4).min(7));
        let mut listings = vec![(None, all.clone(), false); handles.len() * 2];
        let begun = Instant::now();
        while listings.iter().any(|(.., is_over)| !is_over) {
            let limit = limits.next().unwrap_or(1_000);
            for (at, (cursor, left, is_over)) in listings.iter_mut().enumerate().filter(|(_, (.., is_over))| !is_over) {
                let [one, other] = [at, at + 1].map(|at| &*handles[at % handles.len()]);
                page_of(other, cursor.clone(), limit, &all).await?;
                let page = page_of(one, cursor.take(), limit, &all).await?;
                for (key, _) in page.records {
                    left.remove(&key);
                }
                *is_over = page.next.is_none();
                *cursor = page.next;
            }
            if begun.elapsed() > LONGEST {
                cx.fall_short(format!("listings in turns in {LONGEST:?}"));
                return Ok(());
            }
        }
        for (_, left, _) in &listings {
            ensure_eq!(left.len(), 0, "how many records a listing has not met while others were under way");
        }
    }
}
