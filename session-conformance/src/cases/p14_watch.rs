use std::{collections::HashSet, time::Duration};

use futures_util::StreamExt;
use session_core::{DeleteItem, Event, EventStream, Expected, SessionId, SessionKey, TouchItem, When, WriteItem};
use tokio::time::timeout;

use crate::{
    Breakable, Fault,
    case::cases,
    failure::{Checked, Failure, ensure},
    steps::{await_service, create, hour, millis, owned, owner, put, write},
};

/// How long an event may take on a busy machine. The purge that an expiry can wait for is asked for in the case.
const PATIENCE: Duration = Duration::from_secs(10);

fn key_of(event: Event) -> Option<SessionKey> {
    match event {
        Event::Changed { key, .. } | Event::Deleted { key } | Event::Expired { key } => Some(key),
        _ => None,
    }
}

/// Waits for an event that fits, passing over others. A `Missed` on the way does not count as having heard it.
async fn hear(events: &mut EventStream, what: &str, fits: impl Fn(Event) -> bool) -> Checked<Event> {
    let heard = timeout(PATIENCE, async {
        while let Some(event) = events.next().await {
            if fits(event) {
                return Ok(event);
            }
        }
        Err(Failure::new(format!("the stream ended before {what} was heard")))
    });
    heard.await.unwrap_or_else(|_| Err(Failure::new(format!("{what} was not heard within {PATIENCE:?}"))))
}

/// Waits until each of these keys was heard of, or a gap was reported that may have held the rest.
async fn hear_all(events: &mut EventStream, keys: impl IntoIterator<Item = SessionKey>, what: &str) -> Checked {
    let mut waiting: HashSet<_> = keys.into_iter().collect();
    while !waiting.is_empty() {
        let event = hear(events, what, |event| event == Event::Missed || key_of(event).is_some()).await?;
        match key_of(event) {
            Some(key) => drop(waiting.remove(&key)),
            None => waiting.clear(),
        }
    }
    Ok(())
}

async fn hear_of(events: &mut EventStream, key: SessionKey, what: &str) -> Checked<Event> {
    hear(events, what, |event| key_of(event) == Some(key)).await
}

async fn watch_through_an_outage(broken: &Breakable, fault: Fault) -> Checked {
    let watch = broken.store.watch().ok_or_else(|| Failure::new("watch() is None"))?;
    let (during, after) = (SessionId::generate().key(), SessionId::generate().key());
    let mut events = watch.subscribe().await?;
    broken.control.inject(fault).await;
    let _ = broken.store.write(&during, write("x"), When::Any).await;
    broken.control.heal(fault).await;
    await_service(broken).await?;
    put(&broken.store, &during, write("y"), When::Any).await?;
    hear_all(&mut events, [during], "a change after the outage, or that some were missed").await?;
    // What was made right after the outage may fall into a gap that is reported, but a stream that is whole hears everything.
    tokio::time::sleep(broken.recovery).await;
    put(&broken.store, &after, write("z"), When::Any).await?;
    hear_all(&mut events, [after], "a change when the stream is whole again").await
}

cases! {
    promise Watch;

    /// Creation, replacement, shortening touch and deletion are each heard, by the one who made them too.
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

    /// A rename is heard for the old key and for the new one, within a shard and across.
    #[needs(Watch)]
    async fn a_rename_is_heard_for_both_keys(cx) {
        for (old, new) in [cx.pair(), (cx.key(), cx.key())] {
            let version = create(&cx.store, &old, "x").await?;
            let mut events = cx.watch()?.subscribe().await?;
            let _ = cx.store.rename(&old, &new, write("y"), version).await?;
            hear_all(&mut events, [old, new], "both keys of a rename").await?;
        }
    }

    /// Each item of a batch is heard: of writes, touches that shorten, and deletes.
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

    /// Ending all sessions of an owner is heard for each of them.
    #[needs(Watch, Owners)]
    async fn a_deletion_by_owner_is_heard(cx) {
        let keys: Vec<_> = (0..5).map(|_| cx.key()).collect();
        for key in &keys {
            put(&cx.store, key, owned("x", "alice"), When::Absent).await?;
        }
        let mut events = cx.watch()?.subscribe().await?;
        cx.owners()?.delete_all(&owner("alice"), None).await?;
        hear_all(&mut events, keys, "each session ended by owner").await?;
    }

    /// A change through another handle is heard.
    #[needs(Watch, SecondHandle)]
    async fn changes_by_others_are_heard(cx) {
        let (other, key) = (cx.second().await?, cx.key());
        let mut events = cx.watch()?.subscribe().await?;
        create(&other, &key, "x").await?;
        hear_of(&mut events, key, "a creation through another handle").await?;
        let _ = other.delete(&key, Expected::Any).await?;
        hear_of(&mut events, key, "a deletion through another handle").await?;
    }

    /// An expiry is heard, at the latest when the space is freed.
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

    /// Two listeners each hear everything, and one that leaves does not harm the other.
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

    /// A listener that does not keep up hears of every change, or hears that it has missed some.
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
        let last = cx.key();
        create(&cx.store, &last, "the end").await?;
        let (mut waiting, mut missed): (HashSet<_>, _) = (keys.into_iter().collect(), false);
        waiting.insert(last);
        while waiting.contains(&last) {
            // Once a gap was reported, it may have held the last change: then what comes to an end is the end.
            let patience = if missed { Duration::from_millis(300) } else { PATIENCE };
            match timeout(patience, events.next()).await {
                Ok(Some(event)) => {
                    missed |= event == Event::Missed;
                    key_of(event).map(|key| waiting.remove(&key));
                }
                Ok(None) => ensure!(false, "the stream ended"),
                Err(_) if missed => break,
                Err(_) => ensure!(false, "neither the last change nor a gap was heard of within {PATIENCE:?}"),
            }
        }
        ensure!(missed || waiting.is_empty(), "{} changes were dropped silently", waiting.len());
        let fresh = cx.key();
        create(&cx.store, &fresh, "goes on").await?;
        hear_of(&mut events, fresh, "a change after the gap").await?;
    }

    /// After an outage of the server, a listener hears of what it has missed, and then of every change again.
    #[needs(Watch, Kill)]
    async fn a_watch_outlives_a_dead_server(cx) {
        watch_through_an_outage(&cx.breakable().await?, Fault::Kill).await?;
    }

    /// After the server was frozen, a listener hears of what it has missed, and then of every change again.
    #[needs(Watch, Freeze)]
    async fn a_watch_outlives_a_frozen_server(cx) {
        watch_through_an_outage(&cx.breakable().await?, Fault::Freeze).await?;
    }

    /// Everything is heard while many tasks write, and nobody is told of a gap without cause for long.
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
        let writing = tokio::spawn(crate::steps::all::<Checked, _>(writers.collect::<Vec<_>>()));
        hear_all(&mut events, keys, "each change under load").await?;
        for done in writing.await?? {
            done?;
        }
    }
}
