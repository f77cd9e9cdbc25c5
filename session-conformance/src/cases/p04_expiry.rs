use std::time::{Duration, Instant};

use session_core::{DeleteOutcome, Expected, RenameOutcome, SessionKey, SessionStore, TouchItem, Ttl, When, WriteOutcome};
use tokio::time::{sleep, sleep_until};

use crate::{
    expiring::{Brief, nothing_is_kept_that_was_gone, nothing_lives_longer, nothing_outlives_a_late_reply, one_takes_the_place},
    model::table::ttls,
    product::each_is_seen_everywhere,
    case::cases,
    context::TICK,
    failure::{Checked, ensure, ensure_eq},
    race::race,
    assertions::{
        create, ensure_absent, ensure_expires_in, ensure_live, hour, live, millis, owned, owner, patient_ttls, put, write,
    },
};

/// Writes a record, and returns the span in which it expires, by our clock: counted from the begin
/// and from the end of the write.
async fn put_expiring(store: &dyn SessionStore, key: &SessionKey, ttl: Ttl) -> Checked<(Instant, Instant)> {
    let mut brief = write("brief");
    brief.ttl = ttl;
    let begun = Instant::now();
    put(store, key, brief, When::Any).await?;
    Ok((begun + ttl.as_duration(), Instant::now() + ttl.as_duration()))
}

/// Reads until the record has expired, and checks at each read that it is there exactly as long as
/// it must be.
async fn follow(store: &dyn SessionStore, key: &SessionKey, (earliest, latest): (Instant, Instant)) -> Checked {
    loop {
        let begun = Instant::now();
        let found = store.read(key).await?;
        let done = Instant::now();
        if let Some(record) = found {
            ensure!(begun < latest + TICK, "visible {:?} after its ttl had passed", begun - latest);
            let most = latest.saturating_duration_since(begun) + TICK;
            ensure!(record.expires_in <= most, "expires_in is {:?}, and {most:?} are left", record.expires_in);
        } else {
            ensure!(done + TICK > earliest, "gone {:?} before its ttl had passed", earliest - done);
            return Ok(());
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// Creates a record that has expired and that the store has had no reason to access since.
async fn expired(store: &dyn SessionStore, key: &SessionKey) -> Checked {
    let (_, latest) = put_expiring(store, key, millis(30)).await?;
    sleep_until((latest + TICK).into()).await;
    Ok(())
}

cases! {
    promise Expiry;

    /// A record is visible until its ttl has passed and not after, for ttls that are not whole
    /// seconds.
    async fn visible_for_its_ttl_and_no_longer(cx) {
        for ttl in [1, 40, 250, 1_001, 1_499] {
            let key = cx.key();
            let span = put_expiring(&cx.store, &key, millis(ttl)).await?;
            follow(&cx.store, &key, span).await?;
        }
    }

    /// The shortest ttl is one millisecond, and the longest is kept exactly.
    async fn the_ends_of_the_range_work(cx) {
        let (brief, long) = (cx.key(), cx.key());
        let span = put_expiring(&cx.store, &brief, Ttl::MIN).await?;
        follow(&cx.store, &brief, span).await?;
        let begun = Instant::now();
        put_expiring(&cx.store, &long, Ttl::MAX).await?;
        let record = live(&cx.store, &long).await?;
        ensure_expires_in(&record, Ttl::MAX, begun, begun)?;
        ensure!(cx.store.touch(&long, Ttl::MAX).await?, "a touch by the longest ttl must work");
        ensure_expires_in(&live(&cx.store, &long).await?, Ttl::MAX, begun, begun)?;
    }

    /// An expired record that nothing has purged is absent for read, touch, delete, rename and conditional write.
    async fn an_expired_record_is_absent(cx) {
        let key = cx.key();
        let version = create(&cx.store, &key, "x").await?;
        cx.store.touch(&key, millis(1)).await?;
        sleep(Duration::from_millis(1) + TICK).await;
        ensure_absent(&cx.store, &key).await?;
        ensure_eq!(cx.store.touch(&key, hour()).await?, false, "touch: an expired record is absent");
        for touched in cx.store.touch_many(&[TouchItem { key, ttl: hour() }]).await {
            ensure_eq!(touched?, false, "touch_many: an expired record is absent");
        }
        let outcome = cx.store.write(&key, write("late"), When::Version(version)).await?;
        ensure_eq!(outcome, WriteOutcome::Conflict(None), "write: an expired record is absent");
        let outcome = cx.store.rename(&key, &cx.key(), write("late"), version).await?;
        ensure_eq!(outcome, RenameOutcome::Conflict(None), "rename: an expired record is absent");
        for expected in [Expected::Version(version), Expected::Any] {
            let outcome = cx.store.delete(&key, expected).await?;
            ensure_eq!(outcome, DeleteOutcome::Absent, "delete: an expired record is absent");
        }
        ensure_absent(&cx.store, &key).await?;
    }

    /// A touch does not revive an expired record, and what it left behind stays dead.
    async fn a_touch_revives_nothing(cx) {
        let key = cx.key();
        expired(&cx.store, &key).await?;
        ensure_eq!(cx.store.touch(&key, hour()).await?, false, "an expired record is absent");
        ensure_absent(&cx.store, &key).await?;
    }

    /// A write with `Absent` replaces an expired record, as if no record had ever been there.
    async fn absent_replaces_an_expired_record(cx) {
        let key = cx.key();
        let mut brief = owned("brief", "alice");
        brief.ttl = millis(1);
        put(&cx.store, &key, brief, When::Absent).await?;
        sleep(Duration::from_millis(1) + TICK).await;
        let version = create(&cx.store, &key, "anew").await?;
        let record = ensure_live(&cx.store, &key, "anew", version).await?;
        ensure_eq!(record.owner, None, "a new record must not inherit the owner of an expired one");
        ensure!(record.expires_in > Duration::from_mins(50), "a new record must not inherit an expiry");
    }

    /// The version of an expired record does not win against the record that replaced it.
    async fn an_expired_version_does_not_fit_a_new_record(cx) {
        let key = cx.key();
        let old = create(&cx.store, &key, "old").await?;
        cx.store.touch(&key, millis(1)).await?;
        sleep(Duration::from_millis(1) + TICK).await;
        let new = create(&cx.store, &key, "new").await?;
        let outcome = cx.store.write(&key, write("late"), When::Version(old)).await?;
        ensure!(matches!(outcome, WriteOutcome::Conflict(Some(_))), "the version of before won: {outcome:?}");
        ensure_live(&cx.store, &key, "new", new).await?;
    }

    /// A write with `Any` over an expired record makes a new one, without the old owner.
    async fn any_inherits_nothing_from_an_expired_record(cx) {
        let key = cx.key();
        let mut brief = owned("brief", "alice");
        brief.ttl = millis(1);
        put(&cx.store, &key, brief, When::Absent).await?;
        sleep(Duration::from_millis(1) + TICK).await;
        put(&cx.store, &key, write("anew"), When::Any).await?;
        ensure_eq!(live(&cx.store, &key).await?.owner, None, "a new record inherited an owner");
    }

    /// A write renews the ttl. A shorter ttl takes effect as a longer one does.
    async fn a_write_renews_the_ttl(cx) {
        let key = cx.key();
        let span = put_expiring(&cx.store, &key, millis(60)).await?;
        follow(&cx.store, &key, span).await?;
        for ttl in patient_ttls(100) {
            let begun = Instant::now();
            let (_, latest) = put_expiring(&cx.store, &key, ttl).await?;
            let version = put(&cx.store, &key, write("renewed"), When::Any).await?;
            if begun.elapsed() > ttl.as_duration() / 2 {
                continue;
            }
            sleep_until((latest + TICK).into()).await;
            let asked = Instant::now();
            let record = ensure_live(&cx.store, &key, "renewed", version).await?;
            ensure_expires_in(&record, hour(), begun, asked)?;
            return Ok(());
        }
        cx.fall_short("two writes took longer than six seconds".to_owned());
    }

    /// `expires_in` is the remaining ttl, in reads, batched reads and conflicts.
    async fn what_is_left_is_reported(cx) {
        let key = cx.key();
        let ttl = millis(20_000);
        let begun = Instant::now();
        put_expiring(&cx.store, &key, ttl).await?;
        sleep(Duration::from_millis(60)).await;
        let asked = Instant::now();
        let mut records = vec![live(&cx.store, &key).await?];
        for found in cx.store.read_many(&[key]).await {
            records.extend(found?);
        }
        if let WriteOutcome::Conflict(found) = cx.store.write(&key, write("x"), When::Absent).await? {
            records.extend(found);
        }
        ensure_eq!(records.len(), 3, "the record is live, so each of the three must return it");
        for record in records {
            ensure_expires_in(&record, ttl, begun, asked)?;
            let most = (ttl.as_duration() + TICK).saturating_sub(Duration::from_millis(60));
            ensure!(record.expires_in <= most, "expires_in is {:?} after 60 ms", record.expires_in);
        }
    }

    /// Touches that race the expiry either keep the record alive or come too late. It never comes
    /// back.
    async fn no_touch_comes_after_the_end(cx) {
        let rival = cx.rival().await?;
        let mut brief = Brief::new(Duration::from_millis(10));
        for round in cx.rounds(30) {
            let key = cx.key();
            let begun = Instant::now();
            let end = begun + brief.ttl().as_duration();
            put_expiring(&cx.store, &key, brief.ttl()).await?;
            if !brief.is_in_time(begun.elapsed()) {
                continue;
            }
            sleep_until(end.checked_sub(Duration::from_millis(2)).unwrap_or(end).into()).await;
            let (a, b) = (cx.store.clone(), rival.clone());
            let (first, second) = race(
                round,
                async move { a.touch(&key, hour()).await },
                async move { (b.read(&key).await, b.touch(&key, hour()).await) },
            )
            .await?;
            let (first, seen, second) = (first?, second.0?, second.1?);
            let alive = cx.store.read(&key).await?.is_some();
            ensure_eq!(alive, first || second, "the record lives on exactly if a touch came in time");
            // The other touch overlaps the read. The store decides whether it came first.
            ensure!(!second || first || seen.is_some(), "a record that was gone for a reader was revived by its touch");
        }
        brief.conclude(&cx);
    }

    /// An expired session is not in its owner's list or count, and deleting by owner does not count it.
    #[needs(Owners)]
    async fn the_index_leaves_expired_sessions_out(cx) {
        let (live_key, brief_key) = (cx.key(), cx.key());
        put(&cx.store, &live_key, owned("live", "alice"), When::Absent).await?;
        let mut brief = owned("brief", "alice");
        brief.ttl = millis(1);
        put(&cx.store, &brief_key, brief, When::Absent).await?;
        sleep(Duration::from_millis(1) + TICK).await;
        let (owners, alice) = (cx.owners()?, owner("alice"));
        ensure_eq!(owners.list(&alice).await?, vec![live_key], "the list must hold the live session alone");
        ensure_eq!(owners.count(&alice).await?, 1, "the count must leave the expired session out");
        ensure_eq!(owners.delete_all(&alice, None).await?.len(), 1, "one live session was ended");
    }

    /// Counting and paging leave expired records out, before any purge.
    #[needs(Maintenance)]
    async fn listings_leave_expired_records_out(cx) {
        let key = cx.key();
        create(&cx.store, &key, "live").await?;
        for _ in 0..5 {
            expired(&cx.store, &cx.key()).await?;
        }
        let maintenance = cx.maintenance()?;
        ensure_eq!(maintenance.count().await?, 1, "only one record is live");
        let mut cursor = None;
        loop {
            let page = maintenance.page(cursor, 10).await?;
            ensure!(page.records.iter().all(|(found, _)| *found == key), "an expired record was listed");
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
    }

    /// Each ttl, to the millisecond and up to the longest, is kept by each way of setting it and
    /// reported by each way of seeing it.
    async fn each_ttl_is_kept_by_each_way_of_setting_it(cx) {
        // Around the limits of 31 and 32 bits of milliseconds, 30 days, and a year.
        let long = [(1 << 31) - 1_500, (1 << 31) + 500, 2_592_001_500, (1 << 32) + 1_499, 31_622_400_999];
        let ttls_of_all: Vec<_> = [60_999, 90_500].into_iter().chain(long).chain([Ttl::MAX.as_millis()]).collect();
        each_is_seen_everywhere(&cx, ttls(&ttls_of_all)).await?;
    }

    /// A redelivery through another handle, alone, in a batch or as a rename, does not prolong the
    /// life of a record.
    #[needs(SecondHandle)]
    async fn nothing_lives_longer_for_being_delivered_again(cx) {
        nothing_lives_longer(&cx).await?;
    }

    /// No session is seen after its expiry, even if the reply to the change that set its ttl
    /// arrived late.
    #[needs(Freeze)]
    async fn nothing_outlives_its_ttl_where_replies_are_late(cx) {
        nothing_outlives_a_late_reply(&cx).await?;
    }

    /// A session that one call found expired is not kept by a write or touch, alone or in a batch,
    /// that began before.
    async fn nothing_is_kept_that_another_call_found_gone(cx) {
        nothing_is_kept_that_was_gone(&cx).await?;
    }

    /// Of sixteen writers that replace an expired record, through both handles, one succeeds.
    async fn one_of_many_takes_the_place_of_an_expired_record(cx) {
        one_takes_the_place(&cx).await?;
    }
}
