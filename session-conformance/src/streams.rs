//! Streams of events before, during and after a fault.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{StreamExt, future::join_all};
use session_core::{Error, Event, EventStream, Expected, SessionId, SessionKey, SessionStore, Version, When};
use tokio::time::timeout;

use crate::{
    Breakable, Fault,
    assertions::{GRACE, await_service, create, millis, put, write},
    events::{PATIENCE, hear_all, key_of},
    extensions,
    failure::{Checked, Failure, ensure},
};

/// How long a stream may report gaps after its server is back, before it counts as broken, and how
/// long to wait for a change after a gap.
const LONGEST_GAPS: Duration = Duration::from_secs(20);
const AFTER_A_GAP: Duration = Duration::from_millis(300);

/// Listens during a fault. Checks that each change that took effect meanwhile is reported, or that
/// a gap is, and that every change is reported afterwards.
pub(crate) async fn a_listener_is_told_what_it_missed(broken: &Breakable, fault: Fault) -> Checked {
    let mut before = Vec::new();
    for _ in 0..8 {
        let key = SessionId::generate().key();
        before.push((key, create(&broken.store, &key, "before").await?));
    }
    let mut events = extensions::watch(&broken.store)?.subscribe().await?;
    let mut beside = match broken.beside.as_ref().and_then(|beside| beside.watch()) {
        Some(watch) => Some(watch.subscribe().await?),
        None => None,
    };
    let is_gap = Arc::new(AtomicBool::new(false));
    let trusting = tokio::spawn(trust(
        broken.store.clone(),
        extensions::watch(&broken.store)?.subscribe().await?,
        is_gap.clone(),
    ));
    broken.control.inject(fault).await;
    change_each(broken, &before).await?;
    broken.control.heal(fault).await;
    await_service(broken).await?;
    tokio::time::sleep(broken.recovery).await;
    let mut changed = HashSet::new();
    for (key, version) in &before {
        let found = broken.store.read(key).await?;
        let is_as_before =
            found.is_some_and(|record| record.version == *version && record.expires_in > SHORT * 2);
        if !is_as_before {
            changed.insert(*key);
        }
    }
    hear_all(&mut events, changed, "a change during the fault, or that some were missed").await?;
    hears_again(broken, &mut events).await?;
    if let Some(events) = &mut beside {
        hears_again(broken, events).await.map_err(|failure| failure.within("through the handle beside"))?;
    }
    if is_gap.load(Ordering::SeqCst) {
        return trusting.await?;
    }
    trusting.abort();
    Ok(())
}

/// Checks that every change after a reported gap is reported: makes a change at that very moment,
/// and waits for its event or for another gap.
async fn trust(store: Arc<dyn SessionStore>, mut events: EventStream, is_gap: Arc<AtomicBool>) -> Checked {
    while events.next().await.is_some_and(|event| event != Event::Missed) {}
    is_gap.store(true, Ordering::SeqCst);
    let key = SessionId::generate().key();
    if store.write(&key, write("after the gap"), When::Any).await.is_err() {
        return Ok(());
    }
    let listening = async {
        loop {
            match events.next().await {
                Some(event) if event == Event::Missed || key_of(event) == Some(key) => return Ok(()),
                Some(_) => {}
                None => return Err(Failure::new("the stream ended when its server was back")),
            }
        }
    };
    let heard = timeout(PATIENCE, listening).await;
    heard.unwrap_or_else(|_| Err(Failure::new("a change right after a gap was reported was not heard")))
}

/// The ttl to which a touch during the fault shortens a record.
const SHORT: Duration = Duration::from_mins(10);

/// Changes each record once: the first half through the listening store, the others past the fault,
/// if that is possible. The outcome is checked later.
async fn change_each(broken: &Breakable, records: &[(SessionKey, Version)]) -> Checked {
    let stores = [Some(&broken.store), broken.beside.as_ref()];
    let changes = records.iter().enumerate().filter_map(|(at, (key, version))| {
        let store = stores[at * 2 / records.len()]?;
        Some(change(store.clone(), *key, *version, at))
    });
    for error in join_all(changes).await.into_iter().filter_map(Result::err) {
        ensure!(
            error.is_transient(),
            "during a fault, a change must succeed or be Unavailable, not: {error}"
        );
    }
    Ok(())
}

async fn change(
    store: Arc<dyn SessionStore>,
    key: SessionKey,
    version: Version,
    how: usize,
) -> Result<(), Error> {
    match how % 4 {
        0 => store.write(&key, write("after"), When::Version(version)).await.map(drop),
        1 => store.delete(&key, Expected::Any).await.map(drop),
        2 => store.touch(&key, millis(600_000)).await.map(drop),
        _ => store.rename(&key, &SessionId::generate().key(), write("after"), version).await.map(drop),
    }
}

/// Subscribes during a fault. Checks that the stream, if there is one, reports everything once the
/// server is back.
pub(crate) async fn a_listener_from_within_hears_what_follows(broken: &Breakable, fault: Fault) -> Checked {
    broken.control.inject(fault).await;
    let limit = 3 * broken.deadline + GRACE;
    let subscribing = timeout(limit, extensions::watch(&broken.store)?.subscribe()).await;
    broken.control.heal(fault).await;
    let subscribed = subscribing
        .map_err(|_| Failure::new(format!("subscribing in an outage did not end within {limit:?}")))?;
    await_service(broken).await?;
    tokio::time::sleep(broken.recovery).await;
    match subscribed {
        Ok(mut events) => hears_again(broken, &mut events).await?,
        Err(error) => ensure!(
            error.is_transient(),
            "subscribing in an outage must work or be Unavailable, not: {error}"
        ),
    }
    let mut events = extensions::watch(&broken.store)?.subscribe().await?;
    hears_again(broken, &mut events).await
}

/// Makes changes until one is reported by its key. A change that falls into a reported gap does not
/// count, but the gaps must end.
async fn hears_again(broken: &Breakable, events: &mut EventStream) -> Checked {
    let begun = Instant::now();
    while begun.elapsed() < LONGEST_GAPS {
        let key = SessionId::generate().key();
        put(&broken.store, &key, write("after"), When::Absent).await?;
        let mut is_gap = false;
        loop {
            let patience = if is_gap { AFTER_A_GAP } else { PATIENCE };
            match timeout(patience, events.next()).await {
                Ok(Some(event)) if key_of(event) == Some(key) => return Ok(()),
                Ok(Some(event)) => is_gap |= event == Event::Missed,
                Ok(None) => return Err(Failure::new("the stream ended when its server was back")),
                // The change may have fallen into the gap, so another one is made.
                Err(_) if is_gap => break,
                Err(_) => {
                    return Err(Failure::new("a change after the fault was not heard: the stream is deaf"));
                }
            }
        }
    }
    Err(Failure::new(format!(
        "a stream tells of nothing but gaps for {LONGEST_GAPS:?} after its server was back"
    )))
}
