use std::time::{Duration, Instant};

use session_core::{TouchItem, When, WriteOutcome};

use crate::{
    model::table::{Kind, rows},
    product::each_is_seen_everywhere,
    case::cases,
    context::TICK,
    failure::{ensure, ensure_eq},
    race::race,
    assertions::{
        all, create, ensure_absent, ensure_expires_in, ensure_live, hour, increment, live, millis, owned, owner, patient_ttls,
        put, write,
    },
};

cases! {
    promise Touch;

    /// A touch moves the expiry, and leaves data, version and owner as they are.
    async fn a_touch_moves_the_expiry_and_nothing_else(cx) {
        let key = cx.key();
        let mut brief = owned("mine", "alice");
        brief.ttl = millis(5_000);
        let version = put(&cx.store, &key, brief, When::Absent).await?;
        for ttl in [hour(), millis(90_000), millis(7_200_000)] {
            let begun = Instant::now();
            ensure_eq!(cx.store.touch(&key, ttl).await?, true, "the record is live");
            let record = ensure_live(&cx.store, &key, "mine", version).await?;
            ensure_eq!(record.owner, Some(owner("alice")), "a touch changed the owner");
            ensure_expires_in(&record, ttl, begun, begun)?;
        }
    }

    /// A touch with a shorter ttl makes the record expire that much sooner.
    async fn a_touch_can_shorten(cx) {
        let key = cx.key();
        create(&cx.store, &key, "x").await?;
        ensure_eq!(cx.store.touch(&key, millis(20)).await?, true, "the record is live");
        tokio::time::sleep(Duration::from_millis(20) + TICK).await;
        ensure_absent(&cx.store, &key).await?;
    }

    /// Reads and touches through another handle, however many, keep no record that is staler than
    /// the handle declares.
    #[needs(SecondHandle)]
    async fn touches_keep_nothing_stale(cx) {
        let (other, key) = (cx.second().await?, cx.key());
        let first = create(&cx.store, &key, "first").await?;
        ensure_live(&other, &key, "first", first).await?;
        let second = put(&cx.store, &key, write("second"), When::Version(first)).await?;
        let written = Instant::now();
        while written.elapsed() <= cx.staleness() {
            ensure!(other.touch(&key, hour()).await?, "the record is live");
            live(&other, &key).await?;
            tokio::time::sleep(cx.staleness() / 20).await;
        }
        ensure_live(&other, &key, "second", second).await?;
    }

    /// A record that is touched again and again outlives its first ttl.
    async fn touches_keep_a_record_alive(cx) {
        'patience: for ttl in patient_ttls(100) {
            let key = cx.key();
            let mut brief = write("kept");
            brief.ttl = ttl;
            let (begun, mut last) = (Instant::now(), Instant::now());
            let version = put(&cx.store, &key, brief, When::Absent).await?;
            while begun.elapsed() < 3 * ttl.as_duration() {
                // A touch can take effect long before it returns.
                let asked = Instant::now();
                let touched = cx.store.touch(&key, ttl).await?;
                if last.elapsed() > ttl.as_duration() / 2 {
                    continue 'patience;
                }
                ensure!(touched, "it was touched well before its end");
                last = asked;
                tokio::time::sleep(ttl.as_duration() / 20).await;
            }
            let record = cx.store.read(&key).await?;
            // A pause of this machine may have lasted longer than the record since the last touch.
            if last.elapsed() > ttl.as_duration() / 2 {
                continue 'patience;
            }
            ensure!(record.is_some_and(|record| record.version == version), "touches must keep it alive");
            return Ok(());
        }
        cx.fall_short("no touch in half of thirteen seconds".to_owned());
    }

    /// Touching an absent record returns `false`, and creates nothing.
    async fn what_is_absent_stays_absent(cx) {
        let key = cx.key();
        ensure_eq!(cx.store.touch(&key, hour()).await?, false, "nothing was ever there");
        for touched in cx.store.touch_many(&[TouchItem { key, ttl: hour() }]).await {
            ensure_eq!(touched?, false, "nothing was ever there");
        }
        ensure_absent(&cx.store, &key).await?;
        create(&cx.store, &key, "x").await?;
    }

    /// The version from before a touch still wins after it.
    async fn a_touch_does_not_cost_a_writer_its_version(cx) {
        let key = cx.key();
        let version = create(&cx.store, &key, "first").await?;
        cx.store.touch(&key, millis(90_000)).await?;
        put(&cx.store, &key, write("second"), When::Version(version)).await?;
    }

    /// A write that races a touch is never lost, and never meets a conflict because of it.
    async fn a_touch_races_a_write(cx) {
        let rival = cx.rival().await?;
        for round in cx.rounds(300) {
            let key = cx.key();
            let version = create(&cx.store, &key, "first").await?;
            let (toucher, writer) = (cx.store.clone(), rival.clone());
            let second = write("second");
            let written = second.version;
            let (touched, outcome) = race(
                round,
                async move { toucher.touch(&key, hour()).await },
                async move { writer.write(&key, second, When::Version(version)).await },
            )
            .await?;
            ensure_eq!(touched?, true, "the record was live all along");
            ensure_eq!(outcome?, WriteOutcome::Written, "a touch must not make a writer's version stale");
            ensure_live(&cx.store, &key, "second", written).await?;
        }
    }

    /// Increments are not lost while other tasks touch the same record all the time.
    async fn touches_lose_no_increment(cx) {
        let key = cx.key();
        let each = cx.rounds(20);
        create(&cx.store, &key, "0").await?;
        let racers = cx.racers().await?;
        let tasks = (0..16_usize).map(|n| {
            let (store, each) = (racers[n / 2 % racers.len()].clone(), each.clone());
            async move {
                let mut done = 0_u32;
                for _ in each {
                    if n % 2 == 0 {
                        increment(&*store, &key).await?;
                        done += 1;
                    } else {
                        ensure_eq!(store.touch(&key, hour()).await?, true, "the record was live all along");
                    }
                }
                Ok(done)
            }
        });
        let mut total = 0;
        for done in all::<crate::failure::Checked<u32>, _>(tasks).await? {
            total += done?;
        }
        ensure_eq!(live(&cx.store, &key).await?.data, total.to_string().as_bytes(), "increments were lost");
    }

    /// Each way of touching, in each state that a record can be in, is answered by the contract and
    /// seen in each way, through each handle.
    async fn each_way_of_touching_is_seen_in_each_way(cx) {
        each_is_seen_everywhere(&cx, rows(Kind::Touch)).await?;
    }
}
