use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, future::join_all};
use session_core::{DeleteItem, Event, Expected, TouchItem, When, WriteItem};
use tokio::time::timeout;

use crate::{
    extensions,
    model::run::Depth,
    heard::{each_change_is_heard, each_expiry_is_heard, each_expiry_is_heard_unasked},
    streams::{a_listener_from_within_hears_what_follows, a_listener_is_told_what_it_missed},
    Fault,
    case::cases,
    events::{PATIENCE, hear, hear_all, hear_of, key_of},
    failure::{Checked, ensure, ensure_eq},
    race::run_beside,
    assertions::{create, hour, millis, owned, owner, put, write},
};

cases! {
    promise Watch;

    /// A creation, a replacement, a shortening touch and a deletion are each reported, also to the
    /// handle that made the change.
    #[needs(Watch)]
    async fn each_change_is_heard(cx) {
        let key = cx.key();
        let mut events = cx.watch()?.subscribe().await?;
        let version = create(&cx.store, &key, "x").await?;
        hear_of(&mut events, key, "a creation").await?;
        put(&cx.store, &key, write("y"), When::Version(version)).await?;
        hear_of(&mut events, key, "a replacement").await?;
        cx.store.touch(&key, millis(60_000)).await?;
        hear_of(&mut events, key, "a touch that shortens the ttl").await?;
        let _ = cx.store.delete(&key, Expected::Any).await?;
        hear_of(&mut events, key, "a deletion").await?;
    }

    /// A rename is reported for the old key and for the new one, within a shard and across shards.
    #[needs(Watch)]
    async fn a_rename_is_heard_for_both_keys(cx) {
        for (old, new) in [cx.pair(), (cx.key(), cx.key())] {
            let version = create(&cx.store, &old, "x").await?;
            let mut events = cx.watch()?.subscribe().await?;
            let _ = cx.store.rename(&old, &new, write("y"), version).await?;
            hear_all(&mut events, [old, new], "both keys of a rename").await?;
        }
    }

    /// Each item of a batch of writes, shortening touches or deletes is reported.
    #[needs(Watch)]
    async fn each_item_of_a_batch_is_heard(cx) {
        let mut events = cx.watch()?.subscribe().await?;
        let keys: Vec<_> = (0..50).map(|_| cx.key()).collect();
        let writes: Vec<_> =
            keys.iter().map(|key| WriteItem { key: *key, write: write("x"), when: When::Absent }).collect();
        for outcome in cx.store.write_many(&writes).await {
            let _ = outcome?;
        }
        hear_all(&mut events, keys.clone(), "each write of a batch").await?;
        let mut events = cx.watch()?.subscribe().await?;
        let touches: Vec<_> = keys.iter().map(|key| TouchItem { key: *key, ttl: millis(60_000) }).collect();
        for touched in cx.store.touch_many(&touches).await {
            let _ = touched?;
        }
        hear_all(&mut events, keys.clone(), "each touch of a batch").await?;
        let mut events = cx.watch()?.subscribe().await?;
        let deletes: Vec<_> = keys.iter().map(|key| DeleteItem { key: *key, expected: Expected::Any }).collect();
        for deleted in cx.store.delete_many(&deletes).await {
            let _ = deleted?;
        }
        hear_all(&mut events, keys, "each delete of a batch").await?;
    }

    /// A deletion by owner is reported for each session that it ends.
    #[needs(Watch, Owners)]
    async fn a_deletion_by_owner_is_heard(cx) {
        let keys: Vec<_> = (0..700).map(|_| cx.key()).collect();
        let items: Vec<_> =
            keys.iter().map(|key| WriteItem { key: *key, write: owned("x", "alice"), when: When::Any }).collect();
        for outcome in cx.store.write_many(&items).await {
            let _ = outcome?;
        }
        let mut events = cx.watch()?.subscribe().await?;
        cx.owners()?.delete_all(&owner("alice"), None).await?;
        hear_all(&mut events, keys, "each session ended by owner").await?;
    }

    /// A change through another handle is reported.
    #[needs(Watch, SecondHandle)]
    async fn changes_by_others_are_heard(cx) {
        let (other, key) = (cx.second().await?, cx.key());
        let mut events = cx.watch()?.subscribe().await?;
        create(&other, &key, "x").await?;
        hear_of(&mut events, key, "a creation through another handle").await?;
        let _ = other.delete(&key, Expected::Any).await?;
        hear_of(&mut events, key, "a deletion through another handle").await?;
    }

    /// An expiry is reported, at the latest when the space is freed.
    #[needs(Watch, Maintenance)]
    async fn an_expiry_is_heard(cx) {
        let key = cx.key();
        let mut events = cx.watch()?.subscribe().await?;
        let mut brief = write("x");
        brief.ttl = millis(50);
        put(&cx.store, &key, brief, When::Absent).await?;
        hear_of(&mut events, key, "a creation").await?;
        tokio::time::sleep(Duration::from_millis(55)).await;
        let _ = cx.maintenance()?.purge_expired(1_000).await?;
        hear_of(&mut events, key, "an expiry").await?;
    }

    /// An expiry is reported through each handle, for each way of setting the ttl that ends the
    /// session.
    #[needs(Watch, Maintenance)]
    async fn each_way_of_expiring_is_heard(cx) {
        each_expiry_is_heard(&cx).await?;
    }

    /// Two listeners each receive everything, and one that leaves does not affect the other.
    #[needs(Watch)]
    async fn listeners_do_not_disturb_each_other(cx) {
        let (first_key, second_key) = (cx.key(), cx.key());
        let mut staying = cx.watch()?.subscribe().await?;
        let mut leaving = cx.watch()?.subscribe().await?;
        create(&cx.store, &first_key, "x").await?;
        hear_of(&mut leaving, first_key, "a creation").await?;
        drop(leaving);
        create(&cx.store, &second_key, "x").await?;
        hear_of(&mut staying, first_key, "a creation").await?;
        hear_of(&mut staying, second_key, "a creation after another listener left").await?;
    }

    /// A listener that does not read its events takes none from one that does, however often a
    /// session changes.
    #[needs(Watch)]
    async fn a_listener_that_does_not_read_takes_nothing(cx) {
        let key = cx.key();
        let (mut idle, mut reading) = (cx.watch()?.subscribe().await?, cx.watch()?.subscribe().await?);
        for _ in 0..8 {
            put(&cx.store, &key, write("changed"), When::Any).await?;
            hear_of(&mut reading, key, "a write, while another listener does not read").await?;
        }
        hear_of(&mut idle, key, "a change, by a listener that had not read").await?;
    }

    /// A store that frees expired records by itself continues to do so, and reports each.
    #[needs(Watch, SelfPurge)]
    async fn each_expiry_is_heard_without_a_purge(cx) {
        each_expiry_is_heard_unasked(&cx).await?;
    }

    /// The watch says whether it reports the changes of other processes, which decides how long a cache may keep what it has read.
    #[needs(Watch)]
    async fn it_says_whose_changes_it_reports(cx) {
        ensure_eq!(cx.watch()?.hears_all_nodes(), cx.hears_all_nodes(), "hears_all_nodes, which the target declares");
    }

    /// Dropping a handle ends neither the streams nor the service of another one.
    #[needs(Watch, SecondHandle)]
    async fn a_handle_that_is_dropped_takes_nothing(cx) {
        let mut events = cx.watch()?.subscribe().await?;
        for _ in 0..3 {
            let (other, key) = (cx.second().await?, cx.key());
            let listening = extensions::watch(&other)?.subscribe().await?;
            create(&other, &key, "x").await?;
            drop(listening);
            drop(other);
            hear_of(&mut events, key, "a creation by a handle that was dropped then").await?;
            let _ = cx.store.delete(&key, Expected::Any).await?;
            hear_of(&mut events, key, "a deletion after another handle was dropped").await?;
        }
        let (mut later, key) = (cx.watch()?.subscribe().await?, cx.key());
        create(&cx.store, &key, "x").await?;
        hear_of(&mut later, key, "a creation, by a stream from after another handle was dropped").await?;
    }

    /// A change that takes effect after the first subscription has returned is reported, even if it
    /// was requested before.
    #[needs(Watch)]
    async fn what_was_asked_for_before_is_heard(cx) {
        for _ in cx.rounds(if cx.depth == Depth::Whole { 12 } else { 3 }) {
            let store = cx.another_namespace().await?;
            let keys: Vec<_> = (0..160).map(|_| cx.key()).collect();
            let asked = keys.clone().into_iter().map(|key| {
                let store = store.clone();
                async move { store.write(&key, write("x"), When::Any).await }
            });
            let asked = tokio::spawn(crate::assertions::all(asked.collect::<Vec<_>>()));
            tokio::task::yield_now().await;
            let watch = extensions::watch(&store)?;
            let mut events = watch.subscribe().await?;
            let mut later = Vec::new();
            for (key, found) in keys.iter().zip(store.read_many(&keys).await) {
                if found?.is_none() {
                    later.push(*key);
                }
            }
            for written in asked.await?? {
                let _ = written?;
            }
            hear_all(&mut events, later, "a write that took effect after the subscription").await?;
            store.close().await?;
        }
    }

    /// Listeners that are created and dropped all the time take no event from one that stays.
    #[needs(Watch)]
    async fn listeners_that_come_and_go_take_nothing(cx) {
        let mut events = cx.watch()?.subscribe().await?;
        let is_over = Arc::new(AtomicBool::new(false));
        let (store, over) = (cx.store.clone(), is_over.clone());
        // Over a network, a stream can cost as much as a connection, so twenty of them are enough.
        let (rounds, pause) =
            if cx.depth == Depth::Whole { (200, Duration::ZERO) } else { (20, Duration::from_millis(50)) };
        let coming_and_going = run_beside(async move {
            while let Some(watch) = store.watch().filter(|_| !over.load(Ordering::SeqCst)) {
                drop(watch.subscribe().await?);
                tokio::task::yield_now().await;
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
            }
            Ok(())
        });
        let heard: Checked = async {
            for _ in cx.rounds(rounds) {
                let keys: Vec<_> = (0..20).map(|_| cx.key()).collect();
                for key in &keys {
                    create(&cx.store, key, "x").await?;
                }
                hear_all(&mut events, keys, "a change while other listeners come and go").await?;
            }
            Ok(())
        }
        .await;
        is_over.store(true, Ordering::SeqCst);
        let others: Checked = coming_and_going.await?;
        others?;
        heard?;
        let after = cx.key();
        create(&cx.store, &after, "x").await?;
        hear_of(&mut events, after, "a change when the others have gone").await?;
    }

    /// A listener that does not keep up receives every change, or is told that it has missed some.
    #[needs(Watch)]
    async fn a_slow_listener_is_told(cx) {
        let mut events = cx.watch()?.subscribe().await?;
        let keys: Vec<_> = (0..20_000).map(|_| cx.key()).collect();
        for some in keys.chunks(500) {
            let items: Vec<_> =
                some.iter().map(|key| WriteItem { key: *key, write: write("x"), when: When::Any }).collect();
            for outcome in cx.store.write_many(&items).await {
                let _ = outcome?;
            }
        }
        // Single writes do not wait for it either.
        let singly: Vec<_> = (0..1_280).map(|_| cx.key()).collect();
        for some in singly.chunks(64) {
            let writing = some.iter().map(|key| cx.store.write(key, write("x"), When::Any));
            for outcome in join_all(writing).await {
                let _ = outcome?;
            }
        }
        let last = cx.key();
        create(&cx.store, &last, "the end").await?;
        let (mut waiting, mut missed): (HashSet<_>, _) = (keys.into_iter().collect(), false);
        // A change that is made when a gap is reported comes after the gap.
        let mut after_gap = None;
        waiting.insert(last);
        while waiting.contains(&last) {
            // Once a gap was reported, it may include the last change. The end of the events is
            // then the end.
            let patience = if missed { Duration::from_millis(300) } else { PATIENCE };
            match timeout(patience, events.next()).await {
                // The next gap may include it.
                Ok(Some(Event::Missed)) if missed => after_gap = None,
                Ok(Some(Event::Missed)) => {
                    missed = true;
                    let key = cx.key();
                    create(&cx.store, &key, "after the gap").await?;
                    after_gap = Some(key);
                }
                Ok(Some(event)) => {
                    key_of(event).map(|key| waiting.remove(&key));
                    after_gap.take_if(|after| key_of(event) == Some(*after));
                }
                Ok(None) => ensure!(false, "the stream ended"),
                Err(_) if missed => break,
                Err(_) => ensure!(false, "neither the last change nor a gap was heard of within {PATIENCE:?}"),
            }
        }
        ensure!(missed || waiting.is_empty(), "{} changes were dropped silently", waiting.len());
        if let Some(after) = after_gap {
            let is_told = |event| key_of(event) == Some(after) || event == Event::Missed;
            hear(&mut events, "a change that was made when a gap had been reported", is_told).await?;
        }
        let fresh = cx.key();
        create(&cx.store, &fresh, "goes on").await?;
        hear_of(&mut events, fresh, "a change after the gap").await?;
    }

    /// After an outage of the server, a listener is told of changes that it has missed, and then of
    /// every change again.
    #[needs(Watch, Kill)]
    async fn a_watch_outlives_a_dead_server(cx) {
        a_listener_is_told_what_it_missed(&cx.breakable().await?, Fault::Kill).await?;
    }

    /// After the server was frozen, a listener is told of changes that it has missed, and then of
    /// every change again.
    #[needs(Watch, Freeze)]
    async fn a_watch_outlives_a_frozen_server(cx) {
        a_listener_is_told_what_it_missed(&cx.breakable().await?, Fault::Freeze).await?;
    }

    /// While many tasks write, every change is reported, or a gap is. Afterwards every change is
    /// reported.
    #[needs(Watch)]
    async fn changes_under_load_are_heard(cx) {
        let mut events = cx.watch()?.subscribe().await?;
        let keys: Vec<_> = (0..64).map(|_| cx.key()).collect();
        let writers = keys.clone().into_iter().map(|key| {
            let store = cx.store.clone();
            async move {
                let version = create(&*store, &key, "x").await?;
                put(&*store, &key, write("y"), When::Version(version)).await?;
                store.touch(&key, hour()).await?;
                Ok(())
            }
        });
        let writing = tokio::spawn(crate::assertions::all::<Checked, _>(writers.collect::<Vec<_>>()));
        hear_all(&mut events, keys, "each change under load").await?;
        for done in writing.await?? {
            done?;
        }
        let after = cx.key();
        create(&cx.store, &after, "x").await?;
        hear_of(&mut events, after, "a change after the load").await?;
    }

    /// Each way of changing is reported through each handle, and a read then finds the change.
    #[needs(Watch)]
    async fn each_way_of_changing_is_heard(cx) {
        for round in cx.rounds(4) {
            each_change_is_heard(&cx, round).await?;
        }
    }

    /// After connections were cut, a listener is told of changes that it has missed, and then of
    /// every change again.
    #[needs(Watch, Cut)]
    async fn a_watch_outlives_cut_connections(cx) {
        a_listener_is_told_what_it_missed(&cx.breakable().await?, Fault::Cut).await?;
    }

    /// While replies are lost, a listener is told of changes, or that it has missed some, and
    /// afterwards of every change again.
    #[needs(Watch, LoseReplies)]
    async fn a_watch_outlives_lost_replies(cx) {
        a_listener_is_told_what_it_missed(&cx.breakable().await?, Fault::LoseReplies).await?;
    }

    /// A subscription while the server is frozen fails, or receives everything after the thaw.
    #[needs(Watch, Freeze)]
    async fn a_stream_that_begins_in_a_freeze_hears_what_follows(cx) {
        a_listener_from_within_hears_what_follows(&cx.breakable().await?, Fault::Freeze).await?;
    }

    /// A subscription while the server is down fails, or receives everything once the server is
    /// back.
    #[needs(Watch, Kill)]
    async fn a_stream_that_begins_in_an_outage_hears_what_follows(cx) {
        a_listener_from_within_hears_what_follows(&cx.breakable().await?, Fault::Kill).await?;
    }

    /// A subscription whose connection is cut fails, or receives everything that follows.
    #[needs(Watch, Cut)]
    async fn a_stream_whose_beginning_is_cut_hears_what_follows(cx) {
        a_listener_from_within_hears_what_follows(&cx.breakable().await?, Fault::Cut).await?;
    }
}
