use futures_util::future::join_all;
use session_core::{DeleteOutcome, Expected, RenameOutcome, SessionKey, Version, When, WriteItem, WriteOutcome};

use crate::{
    hammer::one_of_two_takes_it,
    crowds::{chains_are_answered_link_by_link, stale_writes_hold_up_no_other},
    pairs::each_pair_takes_turns,
    model::table::{Kind, near_versions, rows},
    product::each_is_seen_everywhere,
    case::cases,
    failure::{ensure, ensure_eq},
    history::is_linearizable,
    race::race,
    assertions::{
        all, create, ensure_absent, ensure_conflict, ensure_expires_in, ensure_live, hour, increment, live, millis,
        owned, owner, put, write,
    },
};

cases! {
    promise ConditionalWrite;

    /// A write with `Absent` creates a record, and a second one meets a conflict that carries the first.
    async fn absent_creates_once(cx) {
        let key = cx.key();
        let first = create(&cx.store, &key, "first").await?;
        let current = ensure_conflict(cx.store.write(&key, write("second"), When::Absent).await?)?;
        ensure_eq!(current.map(|record| record.version), Some(first), "the conflict must carry the live record");
        ensure_live(&cx.store, &key, "first", first).await?;
    }

    /// A write with the live record's version replaces the record, which then has the write's
    /// version.
    async fn the_live_version_wins(cx) {
        let key = cx.key();
        let first = create(&cx.store, &key, "first").await?;
        let second = put(&cx.store, &key, write("second"), When::Version(first)).await?;
        ensure_live(&cx.store, &key, "second", second).await?;
    }

    /// A write with a version that was replaced meets a conflict, and nothing changes: data, version, owner, expiry.
    async fn a_stale_version_changes_nothing(cx) {
        let key = cx.key();
        let first = put(&cx.store, &key, owned("first", "alice"), When::Absent).await?;
        let second = put(&cx.store, &key, write("second"), When::Version(first)).await?;
        let mut stale = owned("stale", "mallory");
        stale.ttl = millis(5_000);
        ensure_conflict(cx.store.write(&key, stale, When::Version(first)).await?)?;
        let record = ensure_live(&cx.store, &key, "second", second).await?;
        ensure_eq!(record.owner, Some(owner("alice")), "a write that met a conflict changed the owner");
        ensure!(record.expires_in.as_secs() > 3_000, "a write that met a conflict changed the expiry");
    }

    /// A conflict carries the whole live record: data, version, owner and remaining ttl.
    async fn a_conflict_carries_the_record(cx) {
        let key = cx.key();
        let begun = std::time::Instant::now();
        let version = put(&cx.store, &key, owned("mine", "alice"), When::Absent).await?;
        for when in [When::Absent, When::Version(Version::random())] {
            let carried = ensure_conflict(cx.store.write(&key, write("other"), when).await?)?;
            ensure!(carried.is_some(), "a conflict with a live record ({when:?}) must carry it");
            if let Some(record) = carried {
                ensure_eq!(record.data, b"mine"[..], "the conflict carries other data ({when:?})");
                ensure_eq!(record.version, version, "the conflict carries another version ({when:?})");
                ensure_eq!(record.owner, Some(owner("alice")), "the conflict carries another owner ({when:?})");
                ensure_expires_in(&record, hour(), begun, begun)?;
            }
        }
    }

    /// A write with a version, where no record ever was, meets a conflict without a record, and
    /// creates nothing.
    async fn a_version_creates_nothing(cx) {
        let key = cx.key();
        let outcome = cx.store.write(&key, write("x"), When::Version(Version::random())).await?;
        ensure_eq!(outcome, WriteOutcome::Conflict(None), "there is nothing that could have this version");
        ensure_absent(&cx.store, &key).await?;
    }

    /// A write with `Any` creates and replaces.
    async fn any_creates_and_replaces(cx) {
        let key = cx.key();
        let first = put(&cx.store, &key, write("first"), When::Any).await?;
        ensure_live(&cx.store, &key, "first", first).await?;
        let second = put(&cx.store, &key, write("second"), When::Any).await?;
        ensure_live(&cx.store, &key, "second", second).await?;
    }

    /// After a blind replacement by the same bytes, a write with the earlier version meets a
    /// conflict.
    async fn equal_bytes_are_not_the_same_version(cx) {
        let key = cx.key();
        let first = create(&cx.store, &key, "same").await?;
        let second = put(&cx.store, &key, write("same"), When::Any).await?;
        ensure_conflict(cx.store.write(&key, write("stale"), When::Version(first)).await?)?;
        ensure_live(&cx.store, &key, "same", second).await?;
    }

    /// Of 64 concurrent writers with `Absent`, exactly one wins, and all others get its record.
    async fn one_of_many_absent_writers_wins(cx) {
        let racers = cx.racers().await?;
        for _ in cx.rounds(20) {
            let key = cx.key();
            let writers = (0..64).map(|n| {
                let (store, write) = (racers[n % racers.len()].clone(), write(format!("writer {n}")));
                async move { (write.version, store.write(&key, write, When::Absent).await) }
            });
            let mut winners = Vec::new();
            let mut losers = Vec::new();
            for (version, outcome) in all(writers).await? {
                match outcome? {
                    WriteOutcome::Written => winners.push(version),
                    WriteOutcome::Conflict(current) => losers.push(current.map(|record| record.version)),
                }
            }
            ensure_eq!(winners.len(), 1, "one of 64 writers must win");
            ensure_eq!(live(&cx.store, &key).await?.version, winners[0], "the record must be the winner's");
            ensure!(losers.iter().all(|seen| *seen == Some(winners[0])), "a loser was told of another record");
        }
    }

    /// Of 64 concurrent writers with the same version, exactly one wins.
    async fn one_of_many_version_writers_wins(cx) {
        let racers = cx.racers().await?;
        for _ in cx.rounds(20) {
            let key = cx.key();
            let seen = create(&cx.store, &key, "seen").await?;
            let writers = (0..64).map(|n| {
                let (store, write) = (racers[n % racers.len()].clone(), write(format!("writer {n}")));
                async move { (write.version, store.write(&key, write, When::Version(seen)).await) }
            });
            let mut winners = Vec::new();
            for (version, outcome) in all(writers).await? {
                if outcome?.is_written() {
                    winners.push(version);
                }
            }
            ensure_eq!(winners.len(), 1, "one of 64 writers must win");
            ensure_eq!(live(&cx.store, &key).await?.version, winners[0], "the record must be the winner's");
        }
    }

    /// 64 tasks that each increment a counter several times, conditionally, lose no increment.
    async fn concurrent_increments_are_not_lost(cx) {
        let key = cx.key();
        let each = cx.rounds(8);
        create(&cx.store, &key, "0").await?;
        let racers = cx.racers().await?;
        let tasks = (0..64).map(|n| {
            let (store, each) = (racers[n % racers.len()].clone(), each.clone());
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
        for done in all::<crate::failure::Checked<u32>, _>(tasks).await? {
            total += done?;
        }
        let total = total.to_string();
        ensure_eq!(live(&cx.store, &key).await?.data, total.as_bytes(), "increments were lost or counted twice");
    }

    /// Of concurrent writes that each build on the one before, exactly those succeed whose
    /// predecessor is live, whatever a rival does meanwhile.
    async fn writes_on_top_of_each_other_are_exact(cx) {
        let other_handle = cx.rival().await?;
        for round in cx.rounds(40) {
            let key = cx.key();
            let first = put(&cx.store, &key, owned("first", "first"), When::Absent).await?;
            let chain: Vec<_> = (0..6)
                .map(|n| if n % 2 == 0 { owned(n.to_string(), &format!("owner {n}")) } else { write(n.to_string()) })
                .collect();
            let grounds = std::iter::once(first).chain(chain.iter().map(|write| write.version));
            let links = chain.iter().cloned().zip(grounds).map(|(write, ground)| {
                let store = cx.store.clone();
                async move { store.write(&key, write, When::Version(ground)).await }
            });
            let (links, rival) = (join_all(links.collect::<Vec<_>>()), write("rival"));
            let rival_wins = round % 3 != 0;
            let outcomes = if rival_wins {
                let (store, rival) = (other_handle.clone(), rival.clone());
                let other = async move { store.write(&key, rival, When::Any).await };
                let (outcomes, other) = race(round, links, other).await?;
                ensure!(other?.is_written(), "a write with `Any` always succeeds");
                outcomes
            } else {
                links.await
            };
            let (mut last, mut expected) = (first, owner("first"));
            let mut unbroken = true;
            for (link, outcome) in chain.into_iter().zip(outcomes) {
                match outcome? {
                    WriteOutcome::Written => {
                        ensure!(unbroken, "a write succeeded whose ground was never there");
                        last = link.version;
                        expected = link.owner.apply(Some(expected.clone())).unwrap_or(expected);
                    }
                    WriteOutcome::Conflict(current) => {
                        unbroken = false;
                        let current = current.map(|record| record.version);
                        ensure!(current.is_some(), "a session was live all the time");
                        ensure!(current != Some(link.version), "a write met a conflict with itself");
                    }
                }
            }
            let found = live(&cx.store, &key).await?;
            let last = if rival_wins { rival.version } else { last };
            ensure_eq!(found.version, last, "the last write that succeeded must be there");
            ensure_eq!(found.owner, Some(expected), "the owner must be the one whom the last write gave");
        }
    }

    /// The record in a conflict is enough for the next attempt to win, without a read.
    async fn a_conflict_is_enough_to_go_on(cx) {
        let key = cx.key();
        let first = create(&cx.store, &key, "first").await?;
        put(&cx.store, &key, write("second"), When::Version(first)).await?;
        let current = ensure_conflict(cx.store.write(&key, write("merged"), When::Version(first)).await?)?;
        ensure!(current.is_some(), "the record is live, so the conflict must carry it");
        if let Some(record) = current {
            put(&cx.store, &key, write("merged"), When::Version(record.version)).await?;
        }
        ensure_eq!(live(&cx.store, &key).await?.data, b"merged"[..], "the second attempt must be there");
    }

    /// Concurrent calls of four clients on one session, through both handles, can be put in an
    /// order that explains all answers (linearizability).
    async fn concurrent_histories_are_linearizable(cx) {
        let handles = cx.handles().await?;
        for _ in cx.rounds(150) {
            is_linearizable(&handles, cx.staleness().is_zero()).await?;
        }
    }

    /// Each way of writing, in each state that a record can be in, is answered by the contract and
    /// seen in each way, through each handle.
    async fn each_way_of_writing_is_seen_in_each_way(cx) {
        each_is_seen_everywhere(&cx, rows(Kind::Write)).await?;
    }

    /// Versions that differ in a single bit are different versions, for each way of naming one.
    async fn each_bit_of_a_version_counts(cx) {
        each_is_seen_everywhere(&cx, near_versions()).await?;
        // A store must not mistake a write for the live one because their versions are similar.
        let key = cx.key();
        let version = create(&cx.store, &key, "live").await?;
        let mut items = Vec::new();
        for bit in 0..128_usize {
            let mut bytes = *version.as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let mut late = write("late");
            late.version = Version::from_bytes(bytes);
            items.push(WriteItem { key, write: late, when: When::Absent });
        }
        for item in &items {
            ensure_conflict(cx.store.write(&key, item.write.clone(), item.when).await?)?;
        }
        for outcome in cx.store.write_many(&items).await {
            ensure_conflict(outcome?)?;
        }
        ensure_live(&cx.store, &key, "live", version).await?;
    }

    /// Any 16 bytes are a valid version: reads return it, and the next write can name it.
    async fn any_bytes_are_a_version(cx) {
        let versions = [[0; 16], [0xff; 16], *b"\0aaaaaaaaaaaaaa\0", *b"'\"\\%_\r\n \t\0;--{}x", [0x80; 16]];
        for bytes in versions {
            let (key, new) = cx.pair();
            let mut first = write("first");
            first.version = Version::from_bytes(bytes);
            put(&cx.store, &key, first.clone(), When::Absent).await?;
            ensure_live(&cx.store, &key, "first", first.version).await?;
            ensure_eq!(
                cx.store.write(&key, first.clone(), When::Absent).await?,
                WriteOutcome::Written,
                "a write that is delivered again"
            );
            for when in [When::Absent, When::Version(Version::random())] {
                let conflict = ensure_conflict(cx.store.write(&key, write("other"), when).await?)?;
                ensure_eq!(conflict.map(|record| record.version), Some(first.version), "what the conflict carries");
                for outcome in cx.store.write_many(&[WriteItem { key, write: write("other"), when }]).await {
                    let conflict = ensure_conflict(outcome?)?;
                    ensure_eq!(conflict.map(|record| record.version), Some(first.version), "what the conflict carries");
                }
            }
            let outcome = cx.store.delete(&key, Expected::Version(Version::random())).await?;
            ensure_eq!(outcome, DeleteOutcome::Conflict, "another version is live");
            let second = put(&cx.store, &key, write("second"), When::Version(first.version)).await?;
            let outcome = cx.store.rename(&key, &new, first.clone(), second).await?;
            ensure_eq!(outcome, RenameOutcome::Renamed, "the old record had the expected version");
            ensure_live(&cx.store, &new, "first", first.version).await?;
            let outcome = cx.store.delete(&new, Expected::Version(first.version)).await?;
            ensure_eq!(outcome, DeleteOutcome::Deleted, "the version is live");
        }
    }

    /// Any two concurrent changes of one session take turns: writes, touches, deletes and renames,
    /// alone and in batches, through both handles.
    async fn any_two_changes_take_turns(cx) {
        each_pair_takes_turns(&cx).await?;
    }

    /// Of concurrent writes that each build on the one before, exactly those take effect that are
    /// reported as written, in their order.
    async fn chains_of_writes_are_answered_link_by_link(cx) {
        chains_are_answered_link_by_link(&cx).await?;
    }

    /// A write with the live version takes effect among many with other versions, and is recognised
    /// when it is redelivered among them.
    async fn stale_writes_hold_up_no_other_write(cx) {
        stale_writes_hold_up_no_other(&cx).await?;
    }

    /// Of two simultaneous calls that take the same version of a session, or the same free key, in
    /// any two ways, exactly one succeeds.
    async fn one_of_two_that_meet_takes_it(cx) {
        one_of_two_takes_it(&cx).await?;
    }

    /// A session is found only under its whole key: a key that differs in a bit of any byte is
    /// another one.
    async fn each_byte_of_a_key_counts(cx) {
        let key = cx.key();
        let version = create(&cx.store, &key, "mine").await?;
        let others: Vec<_> = (0..SessionKey::LEN)
            .map(|at| {
                let mut bytes = *key.as_bytes();
                bytes[at] ^= 1 << (at % 8);
                SessionKey::from_bytes(bytes)
            })
            .collect();
        for (at, other) in others.iter().enumerate() {
            ensure_eq!(cx.store.read(other).await?, None, "a key that differs in byte {at} alone");
            ensure_eq!(cx.store.delete(other, Expected::Any).await?, DeleteOutcome::Absent, "a key that differs in byte {at} alone");
            put(&cx.store, other, owned(format!("of byte {at}"), "alice"), When::Absent).await?;
        }
        for (at, found) in cx.store.read_many(&others).await.into_iter().enumerate() {
            let data = found?.map(|record| record.data);
            ensure_eq!(data, Some(format!("of byte {at}").into()), "under a key that differs in byte {at} alone");
        }
        ensure_live(&cx.store, &key, "mine", version).await?;
        if let Some(owners) = cx.store.owners() {
            let counted = owners.count(&owner("alice")).await?;
            ensure_eq!(counted, others.len() as u64, "the count of an owner whose keys differ in a bit");
        }
        if let Some(maintenance) = cx.store.maintenance() {
            ensure_eq!(maintenance.count().await?, 1 + others.len() as u64, "the count of keys that differ in a bit");
        }
    }

    /// A version identifies a write under one key. The same write under another key takes effect
    /// there, alone, in a batch and by a rename.
    async fn one_write_under_several_keys_is_several_writes(cx) {
        let same = owned("same", "alice");
        let (first, second, old, new) = (cx.key(), cx.key(), cx.key(), cx.key());
        put(&cx.store, &first, same.clone(), When::Absent).await?;
        ensure_absent(&cx.store, &second).await?;
        put(&cx.second().await?, &second, same.clone(), When::Absent).await?;
        let batch: Vec<SessionKey> = (0..3).map(|_| cx.key()).collect();
        let items: Vec<WriteItem> =
            batch.iter().map(|key| WriteItem { key: *key, write: same.clone(), when: When::Absent }).collect();
        for outcome in cx.store.write_many(&items).await {
            ensure_eq!(outcome?, WriteOutcome::Written, "an item of a batch whose write is live under another key");
        }
        let replaced = create(&cx.store, &old, "old").await?;
        put(&cx.store, &old, same.clone(), When::Version(replaced)).await?;
        let renamed = cx.store.rename(&old, &new, same.clone(), same.version).await?;
        ensure_eq!(renamed, RenameOutcome::Renamed, "a rename whose write is live under other keys");
        ensure_absent(&cx.store, &old).await?;
        // One of them was absent, and then written through another handle.
        cx.settle().await;
        let keys = [&[first, second, new], &*batch].concat();
        for key in &keys {
            ensure_live(&cx.store, key, "same", same.version).await?;
        }
        let expected = Expected::Version(same.version);
        ensure_eq!(cx.store.delete(&first, expected).await?, DeleteOutcome::Deleted, "the write under the first key");
        ensure_absent(&cx.store, &first).await?;
        for key in &keys[1..] {
            ensure_live(&cx.store, key, "same", same.version).await?;
        }
        if let Some(owners) = cx.store.owners() {
            let mut listed = owners.list(&owner("alice")).await?;
            listed.sort_unstable();
            let mut expected = keys[1..].to_vec();
            expected.sort_unstable();
            ensure_eq!(listed, expected, "the sessions that one write has made under several keys");
        }
    }
}
