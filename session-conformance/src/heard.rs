//! Checks that each way of changing is reported by the watch, and not before a read finds the
//! change.

use std::{collections::HashSet, sync::Arc};

use futures_util::{StreamExt, TryStreamExt, stream};
use session_core::{Event, EventStream, SessionKey, SessionStore, Version, When, WriteItem};
use tokio::time::timeout;

use crate::{
    Context,
    assertions::{hour, millis, owned, owner, put, write},
    context::TICK,
    events::{PATIENCE, hear, key_of},
    extensions,
    failure::{Checked, Failure, ensure},
    model::{
        Asked, World,
        run::Run,
        step::BRIEF,
        table::{Row, shortened},
    },
};

/// How many rows are tested at once.
const AT_ONCE: usize = 8;

/// Makes each change while a listener on each handle waits for it. Checks that each listener is
/// told of every changed key, and then reads the change or a later one.
pub(crate) async fn each_change_is_heard(cx: &Context, round: u32) -> Checked {
    let handles = cx.handles().await?;
    let maker = round as usize % handles.len();
    let done = cx.effective().into_iter().chain(shortened()).map(|row| {
        let run = cx.run_on(handles.clone());
        let start = row.start;
        async move {
            hear_row(cx, run, row, maker).await.map_err(|failure| {
                failure.within(&format!("made through handle {maker}, beginning with: {start}"))
            })
        }
    });
    stream::iter(done).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await.map(drop)
}

async fn hear_row(cx: &Context, mut run: Run, Row { before, change, .. }: Row, maker: usize) -> Checked {
    run.steps(&before).await?;
    let handles = cx.handles().await?;
    for step in &change {
        let (items, by) = run.plan(&step.act);
        let before = run.world().clone();
        let after = before.after(&items);
        let changed: HashSet<_> = before.changed(&after).collect();
        let mut listening = Vec::new();
        for (handle, store) in handles.iter().enumerate() {
            let Some(watch) = store.watch() else { continue };
            let events = watch.subscribe().await?;
            // Reads through another handle than that of the change may be stale, if that is
            // declared.
            let reads = (handle == maker || cx.staleness().is_zero()).then(|| store.clone());
            let (waiting, before, after) = (changed.clone(), before.clone(), after.clone());
            listening.push(tokio::spawn(async move {
                let heard = hear_and_read(events, reads.as_deref(), waiting, &before, &after).await;
                heard.map_err(|failure| failure.within(&format!("heard through handle {handle}")))
            }));
        }
        run.change(maker, items, by).await?;
        for heard in listening {
            heard.await?.map_err(|failure| run.broken(failure.to_string()))?;
        }
    }
    Ok(())
}

/// Waits until an event for each of these keys has arrived and a read finds the change. Events of
/// earlier changes may arrive, too.
async fn hear_and_read(
    mut events: EventStream,
    reads: Option<&dyn SessionStore>,
    mut waiting: HashSet<SessionKey>,
    before: &World,
    after: &World,
) -> Checked {
    let mut early = HashSet::new();
    let listening = async {
        while !waiting.is_empty() {
            let Some(event) = events.next().await else { return Err(Failure::new("the stream ended")) };
            if event == Event::Missed {
                return Ok(());
            }
            let Some(key) = key_of(event).filter(|key| waiting.contains(key)) else { continue };
            if let Event::Changed { version: Some(told), .. } = event {
                let versions = [before, after].map(|world| world.live.get(&key).map(|live| live.version));
                if versions[0] == Some(told) && versions[1] != Some(told) {
                    // The event is of an earlier change.
                    continue;
                }
                if !versions.contains(&Some(told)) {
                    return Err(Failure::new(format!(
                        "an event tells of {told:?} under {key:?}, which never had it"
                    )));
                }
            }
            let Some(store) = reads else {
                waiting.remove(&key);
                continue;
            };
            let asked = Asked::now();
            let found = store.read(&key).await?;
            if after.compare(&key, found.as_ref(), asked).is_err()
                && before.compare(&key, found.as_ref(), asked).is_ok()
            {
                early.insert(key);
            } else {
                waiting.remove(&key);
            }
        }
        Ok(())
    };
    timeout(PATIENCE, listening).await.unwrap_or_else(|_| {
        Err(Failure::new(if early.is_superset(&waiting) {
            format!("the events for {early:?} came before the change could be read, and none came after")
        } else {
            format!("no event for {waiting:?} within {PATIENCE:?}")
        }))
    })
}

/// Creates sessions of a short ttl, alone and in batches and through each handle, and lets them
/// expire. Checks that a listener on each handle is told of each expiry, at the latest when the
/// space is freed. For a session whose ttl was shortened later, the store decides when that is.
pub(crate) async fn each_expiry_is_heard(cx: &Context) -> Checked {
    let handles = cx.handles().await?;
    let mut listening = Vec::new();
    for store in &handles {
        let watch = extensions::watch(store)?;
        listening.push(watch.subscribe().await?);
    }
    let mut expired = HashSet::new();
    for store in &handles {
        let brief = || {
            let mut brief = owned("brief", "alice");
            brief.ttl = millis(BRIEF);
            WriteItem { key: cx.key(), write: brief, when: When::Absent }
        };
        let items: Vec<_> = (0..6).map(|_| brief()).collect();
        let (alone, together) = items.split_at(3);
        for item in alone {
            put(&**store, &item.key, item.write.clone(), item.when).await?;
        }
        for outcome in store.write_many(together).await {
            ensure!(outcome?.is_written(), "the keys were free");
        }
        expired.extend(items.iter().map(|item| item.key));
    }
    tokio::time::sleep(TICK * 5).await;
    let keys: Vec<_> = expired.iter().copied().collect();
    for store in &handles {
        ask(&**store, &keys).await?;
    }
    // The listeners were also told of the creations.
    hear_each_end(&handles, listening, &expired, &HashSet::new()).await
}

/// Lets sessions expire, one after another, in a store that frees them by itself. Checks that each
/// expiry is reported although no call is made.
pub(crate) async fn each_expiry_is_heard_unasked(cx: &Context) -> Checked {
    let store = cx.self_purging().await?;
    let mut events = extensions::watch(&store)?.subscribe().await?;
    for round in 1..4 {
        let mut brief = owned("brief", "alice");
        brief.ttl = millis(BRIEF);
        let key = cx.key();
        put(&*store, &key, brief, When::Absent).await?;
        let is_its_end = |event| event == Event::Expired { key };
        hear(&mut events, &format!("the expiry of session {round}, which nothing asked for"), is_its_end)
            .await?;
    }
    Ok(())
}

/// Accesses expired sessions in ways that may free their space. The store then has to report that,
/// too.
async fn ask(store: &dyn SessionStore, keys: &[SessionKey]) -> Checked {
    if let Some(maintenance) = store.maintenance() {
        let _ = maintenance.count().await?;
        let _ = maintenance.page(None, 1_000).await?;
    }
    if let Some(owners) = store.owners() {
        let _ = owners.count(&owner("alice")).await?;
        let _ = owners.list(&owner("alice")).await?;
    }
    for (n, key) in keys.iter().enumerate() {
        match n % 4 {
            0 => drop(store.read(key).await?),
            1 => ensure!(!store.touch(key, hour()).await?, "the session has expired"),
            2 => drop(store.write(key, write("never"), When::Version(Version::random())).await?),
            _ => {}
        }
    }
    Ok(())
}

/// Checks that a listener on each handle is told of the end of each of these expired sessions, at
/// the latest when their space is freed. For those that were `changed` before it listened, any
/// event counts as the end.
pub(crate) async fn hear_each_end(
    handles: &[Arc<dyn SessionStore>],
    listening: Vec<EventStream>,
    expired: &HashSet<SessionKey>,
    changed: &HashSet<SessionKey>,
) -> Checked {
    for (handle, mut events) in listening.into_iter().enumerate() {
        tokio::select! {
            heard = hear_the_end(&mut events, expired.clone(), changed.clone()) => {
                heard.map_err(|failure| failure.within(&format!("heard through handle {handle}")))?;
            }
            failed = free_again_and_again(handles) => failed?,
        }
    }
    Ok(())
}

/// Frees expired sessions, a few and many at a time, until this is dropped.
async fn free_again_and_again(handles: &[Arc<dyn SessionStore>]) -> Checked {
    loop {
        for limit in [1, 2, 1_000] {
            for store in handles {
                if let Some(maintenance) = store.maintenance() {
                    let _ = maintenance.purge_expired(limit).await?;
                }
            }
        }
        tokio::time::sleep(TICK * 50).await;
    }
}

/// Waits until each of these keys was reported as expired, or was reported once more after its last
/// change, or until a `Missed` arrives.
async fn hear_the_end(
    events: &mut EventStream,
    mut waiting: HashSet<SessionKey>,
    mut changed: HashSet<SessionKey>,
) -> Checked {
    let listening = async {
        while !waiting.is_empty() {
            let Some(event) = events.next().await else { return Err(Failure::new("the stream ended")) };
            if event == Event::Missed {
                return Ok(());
            }
            let Some(key) = key_of(event) else { continue };
            // The kind of an event is a hint.
            let is_over = matches!(event, Event::Expired { .. } | Event::Deleted { .. });
            if !changed.insert(key) || is_over {
                waiting.remove(&key);
            }
        }
        Ok(())
    };
    let heard = timeout(PATIENCE, listening).await;
    heard.unwrap_or_else(|_| {
        Err(Failure::new(format!("{} of the sessions were not heard to expire", waiting.len())))
    })
}
