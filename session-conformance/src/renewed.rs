//! Sessions whose ttl is prolonged just before they expire, by each way of doing so, and how purges
//! and listings treat them.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, TryStreamExt, stream};
use session_core::{Owner, SessionKey, SessionStore, Ttl};
use tokio::time::{sleep, sleep_until};

use crate::{
    Capability, Context,
    assertions::patient_ttls,
    context::TICK,
    failure::{Checked, ensure, ensure_eq},
    heard::hear_each_end,
    listing::listing,
    model::{
        By,
        run::Run,
        step::{Act, Content, Guess, PlannedOwner, PlannedWrite, Step},
        table::{KEY, NEW},
    },
};

/// Creates sessions of a short ttl in each way and through each handle. Checks that purges,
/// listings and each way of seeing find them until the ttl has passed.
pub(crate) async fn each_is_there_until_its_end(cx: &Context) -> Checked {
    let handles = cx.handles().await?;
    // A check waits until reads through the other handle must be fresh.
    let staleness = u64::try_from(cx.staleness().as_millis()).unwrap_or(HOUR);
    for ttl in patient_ttls(30 + 4 * staleness) {
        let begun = Instant::now();
        let looked = look_before_the_end(cx, &handles, ttl).await;
        // If the check took longer than the sessions live, it shows nothing.
        if begun.elapsed() + TICK < ttl.as_duration() {
            return looked;
        }
    }
    cx.fall_short("some dozens of calls took longer than four seconds".to_owned());
    Ok(())
}

async fn look_before_the_end(cx: &Context, handles: &[Arc<dyn SessionStore>], ttl: Ttl) -> Checked {
    let brief = u64::try_from(ttl.as_duration().as_millis()).unwrap_or(HOUR);
    let content = |ttl| Content { data: 10, owner: PlannedOwner::Set(0), ttl };
    let planned = |guess, ttl| vec![PlannedWrite { key: KEY, guess, content: content(ttl) }];
    let ways = [
        vec![Act::Write(planned(Guess::Absent, brief), By::Single)],
        vec![Act::Write(planned(Guess::Any, brief), By::Batch)],
        vec![Act::Write(planned(Guess::Any, HOUR), By::Single), Act::Touch(vec![(KEY, brief)], By::Single)],
        vec![
            Act::Write(planned(Guess::Any, HOUR), By::Single),
            Act::Rename { old: KEY, new: NEW, guess: Guess::Current, content: content(brief) },
        ],
    ];
    let mut runs = Vec::new();
    for (at, way) in ways.into_iter().enumerate() {
        let mut run = cx.run_on(handles.to_vec());
        for act in way {
            run.step(&Step { handle: at % 2, act }).await?;
        }
        runs.push(run);
    }
    for store in handles {
        let Some(maintenance) = store.maintenance().filter(|_| cx.has(Capability::Maintenance)) else {
            continue;
        };
        let _ = maintenance.purge_expired(10_000).await?;
        let live = runs.iter().flat_map(|run| run.world().live.keys()).collect::<Vec<_>>();
        let (counted, least) = (maintenance.count().await?, live.len() as u64);
        ensure!(
            counted >= least,
            "{counted} records are counted before the end of a session, and {least} are live"
        );
        let listed = listing(maintenance, 1_000).await?;
        let missing = live.iter().find(|key| !listed.iter().any(|listed| listed.key == ***key));
        ensure!(missing.is_none(), "a listing misses {missing:?} before its end");
    }
    for run in &mut runs {
        run.look_everywhere().await.map_err(|failure| failure.within("before the end of the session"))?;
    }
    Ok(())
}

const HOUR: u64 = 3_600_000;

/// The ways of prolonging a session. The last ones end it first and create it again, so that the
/// new session does not depend on the time that has passed.
fn ways(has_owners: bool, ttl: u64) -> Vec<Vec<Act>> {
    let content = Content { data: 20, owner: PlannedOwner::Keep, ttl };
    let write = |guess, owner, by| {
        Act::Write(vec![PlannedWrite { key: KEY, guess, content: Content { owner, ..content } }], by)
    };
    let mut ways = vec![vec![Act::Rename { old: KEY, new: NEW, guess: Guess::Current, content }]];
    for by in [By::Single, By::Batch] {
        ways.push(vec![Act::Touch(vec![(KEY, ttl)], by)]);
        ways.push(vec![write(Guess::Current, PlannedOwner::Keep, by)]);
        ways.push(vec![write(Guess::Any, PlannedOwner::Keep, by)]);
        let anew = write(Guess::Absent, PlannedOwner::Set(0), by);
        ways.push(vec![Act::Delete(vec![(KEY, Guess::Any)], by), anew.clone()]);
        if has_owners {
            ways.push(vec![Act::DeleteOwner { owner: 0, except: None }, anew]);
        }
    }
    ways
}

/// How many sessions are renewed at once.
const AT_ONCE: usize = 8;

/// Creates sessions that live for `brief` milliseconds, and renews them with `more` in each way and
/// through each handle. Returns `None` if that took so long that one may have expired before its
/// renewal.
async fn renew(
    cx: &Context,
    handles: &[Arc<dyn SessionStore>],
    brief: u64,
    more: u64,
) -> Checked<Option<Vec<Run>>> {
    let begun = Instant::now();
    let content = Content { data: 10, owner: PlannedOwner::Set(0), ttl: brief };
    let through_each = [0, 1]
        .into_iter()
        .flat_map(|by| ways(cx.has(Capability::Owners), more).into_iter().map(move |way| (by, way)));
    let renewing = through_each.map(|(handle, way)| {
        let mut run = cx.run_on(handles.to_vec());
        async move {
            let planned = PlannedWrite { key: KEY, guess: Guess::Absent, content };
            run.step(&Step { handle: 1 - handle, act: Act::Write(vec![planned], By::Single) }).await?;
            for act in way {
                run.step(&Step { handle, act }).await?;
            }
            Ok(run)
        }
    });
    let renewed: Checked<Vec<_>> = stream::iter(renewing).buffer_unordered(AT_ONCE).try_collect().await;
    if begun.elapsed() > Duration::from_millis(brief / 2) { Ok(None) } else { renewed.map(Some) }
}

/// Has each handle free expired records.
async fn purge(cx: &Context, handles: &[Arc<dyn SessionStore>]) -> Checked {
    for store in handles {
        if let Some(maintenance) = store.maintenance().filter(|_| cx.has(Capability::Maintenance)) {
            let _ = maintenance.purge_expired(10_000).await?;
        }
    }
    Ok(())
}

/// Renews a session of a short ttl in each way through each handle, waits until it would have
/// expired, purges, and checks everything.
pub(crate) async fn each_renewal_counts(cx: &Context) -> Checked {
    let handles = cx.handles().await?;
    for ttl in patient_ttls(100) {
        let brief = u64::try_from(ttl.as_duration().as_millis()).unwrap_or(HOUR);
        let Some(mut runs) = renew(cx, &handles, brief, HOUR).await? else { continue };
        sleep(ttl.as_duration() + TICK).await;
        purge(cx, &handles).await?;
        for run in &mut runs {
            run.look_everywhere()
                .await
                .map_err(|failure| failure.within("renewed before its end, and looked at after it"))?;
        }
        for store in &handles {
            if let Some(maintenance) = store.maintenance().filter(|_| cx.has(Capability::Maintenance)) {
                let listed = listing(maintenance, 1_000).await?;
                let is_listed = |key: &SessionKey| listed.iter().any(|listed| listed.key == *key);
                let missing = runs.iter().flat_map(|run| run.world().live.keys()).find(|key| !is_listed(key));
                ensure!(missing.is_none(), "a listing misses {missing:?}, which was renewed before its end");
            }
        }
        return Ok(());
    }
    cx.fall_short("some dozens of calls took longer than six seconds".to_owned());
    Ok(())
}

/// Prolongs sessions of a short ttl in each way and through each handle, and purges after their
/// first expiry or does not. Checks that they are gone after their last expiry: for reads, counts
/// and listings, for the owner index, and for each listener.
pub(crate) async fn each_renewed_session_ends(cx: &Context) -> Checked {
    for purges in [true, false] {
        let found = each_ends(cx, purges).await;
        found.map_err(|failure| failure.within(&format!("purged after its first end: {purges}")))?;
    }
    Ok(())
}

async fn each_ends(cx: &Context, purges: bool) -> Checked {
    let handles = cx.handles().await?;
    for ttl in patient_ttls(40) {
        let brief = u64::try_from(ttl.as_duration().as_millis()).unwrap_or(HOUR);
        let Some(mut runs) = renew(cx, &handles, brief, 3 * brief).await? else { continue };
        let renewed = Instant::now();
        let mut listening = Vec::new();
        for watch in handles.iter().filter_map(|store| store.watch()).filter(|_| cx.has(Capability::Watch)) {
            listening.push(watch.subscribe().await?);
        }
        // A session that may have expired before the listener began shows nothing.
        if renewed.elapsed() > ttl.as_duration() {
            continue;
        }
        if purges {
            sleep_until((renewed + ttl.as_duration() + TICK).into()).await;
            purge(cx, &handles).await?;
        }
        sleep_until((renewed + 3 * ttl.as_duration() + TICK).into()).await;
        cx.settle().await;
        // Other sessions of their batches live longer.
        let live = runs.iter().flat_map(|run| run.world().live.iter());
        let keys: Vec<_> =
            live.filter(|(_, live)| live.ttl <= 3 * ttl.as_duration()).map(|(key, _)| *key).collect();
        let owners: Vec<_> = runs.iter_mut().map(|run| run.owner(0)).collect();
        for (handle, store) in handles.iter().enumerate() {
            all_are_gone(cx, &**store, &keys, &owners)
                .await
                .map_err(|failure| failure.within(&format!("renewed once, through handle {handle}")))?;
        }
        let ended = keys.into_iter().collect();
        return hear_each_end(&handles, listening, &ended, &ended).await;
    }
    cx.fall_short("some dozens of calls took longer than two seconds".to_owned());
    Ok(())
}

/// Checks that these sessions are gone, each of which had an owner, and that counts equal listings.
async fn all_are_gone(
    cx: &Context,
    store: &dyn SessionStore,
    keys: &[SessionKey],
    owners: &[Owner],
) -> Checked {
    for found in store.read_many(keys).await {
        ensure_eq!(found?.map(|record| record.expires_in), None, "a read after the last end of a session");
    }
    if let Some(maintenance) = store.maintenance().filter(|_| cx.has(Capability::Maintenance)) {
        let listed: HashSet<_> =
            listing(maintenance, 1_000).await?.into_iter().map(|listed| listed.key).collect();
        let found = keys.iter().find(|key| listed.contains(*key));
        ensure!(found.is_none(), "a listing has {found:?} after its last end");
        ensure_eq!(maintenance.count().await?, listed.len() as u64, "the count, and how many a listing has");
    }
    if let Some(index) = store.owners().filter(|_| cx.has(Capability::Owners)) {
        for owner in owners {
            ensure_eq!(
                index.list(owner).await?.len(),
                0,
                "the sessions of an owner after the last end of each"
            );
        }
    }
    Ok(())
}
