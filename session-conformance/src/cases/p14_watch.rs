use std::{collections::HashSet, time::Duration};

use futures_util::StreamExt;
use session_core::{Event, EventStream, Expected, SessionKey, When, WriteItem};
use tokio::time::timeout;

use crate::{
    case::cases,
    failure::{Checked, Failure, ensure},
    steps::{create, hour, millis, owned, owner, put, write},
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

async fn hear_of(events: &mut EventStream, key: SessionKey, what: &str) -> Checked<Event> {
    hear(events, what, |event| key_of(event) == Some(key)).await
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

    /// A rename is heard for the old key and for the new one.
    #[needs(Watch)]
    async fn a_rename_is_heard_for_both_keys(cx) {
        let (old, new) = cx.pair();
        let version = create(&cx.store, &old, "x").await?;
        let mut events = cx.watch()?.subscribe().await?;
        let _ = cx.store.rename(&old, &new, write("y"), version).await?;
        let mut waiting = HashSet::from([old, new]);
        hear(&mut events, "one of the two keys of a rename", |event| key_of(event).is_some_and(|key| key == new || key == old))
            .await
            .map(|event| key_of(event).is_some_and(|key| waiting.remove(&key)))?;
        for key in waiting {
            hear_of(&mut events, key, "the other key of a rename").await?;
        }
    }

    /// Each item of a batch is heard.
    #[needs(Watch)]
    async fn each_item_of_a_batch_is_heard(cx) {
        let mut events = cx.watch()?.subscribe().await?;
        let items: Vec<_> =
            (0..50).map(|_| WriteItem { key: cx.key(), write: write("x"), when: When::Absent }).collect();
        for outcome in cx.store.write_many(&items).await {
            let _ = outcome?;
        }
        let mut waiting: HashSet<_> = items.iter().map(|item| item.key).collect();
        while !waiting.is_empty() {
            let event = hear(&mut events, "an item of a batch", |event| key_of(event).is_some()).await?;
            key_of(event).map(|key| waiting.remove(&key));
        }
    }

    /// Ending all sessions of an owner is heard for each of them.
    #[needs(Watch, Owners)]
    async fn a_deletion_by_owner_is_heard(cx) {
        let mut waiting = HashSet::new();
        for _ in 0..5 {
            let key = cx.key();
            put(&cx.store, &key, owned("x", "alice"), When::Absent).await?;
            waiting.insert(key);
        }
        let mut events = cx.watch()?.subscribe().await?;
        cx.owners()?.delete_all(&owner("alice"), None).await?;
        while !waiting.is_empty() {
            let event = hear(&mut events, "a session ended by owner", |event| key_of(event).is_some()).await?;
            key_of(event).map(|key| waiting.remove(&key));
        }
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
        let mut brief = write("x");
        brief.ttl = millis(50);
        put(&cx.store, &key, brief, When::Absent).await?;
        let mut events = cx.watch()?.subscribe().await?;
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
        let mut waiting: HashSet<_> = keys.into_iter().collect();
        let mut missed = false;
        loop {
            let event = hear(&mut events, "the last change", |_| true).await?;
            missed |= event == Event::Missed;
            if let Some(key) = key_of(event) {
                waiting.remove(&key);
                if key == last {
                    break;
                }
            }
        }
        ensure!(missed || waiting.is_empty(), "{} changes were dropped silently", waiting.len());
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
        let mut waiting: HashSet<_> = keys.into_iter().collect();
        while !waiting.is_empty() {
            let event = hear(&mut events, "a change under load", |event| key_of(event).is_some()).await?;
            key_of(event).map(|key| waiting.remove(&key));
        }
        for done in writing.await?? {
            done?;
        }
    }
}
