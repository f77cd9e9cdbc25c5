use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use session_core::{Expected, RenameOutcome, SessionId, SessionStore, When};
use tokio::sync::watch;

use super::p08_owner_index::{create_owned, ensure_listed};
use crate::{
    Context,
    case::cases,
    failure::{Checked, ensure, ensure_eq},
    race::{poll_then_drop, race, run_beside},
    assertions::{all, create, ensure_absent, owned, owner, put, write},
};

/// Renames 64 sessions of one owner again and again, a quarter of them per task, and ends all of
/// them meanwhile.
async fn crowd_is_ended(cx: &Context, round: u32) -> Checked {
    let name = format!("crowd {round}");
    let mut sessions = Vec::new();
    for _ in 0..64 {
        let id = SessionId::generate();
        let version = put(&cx.store, &id.key(), owned("x", &name), When::Absent).await?;
        sessions.push((id, version));
    }
    let (stop, stopped) = watch::channel(false);
    let handles = cx.handles().await?;
    let renaming: Vec<_> = sessions
        .chunks(16)
        .zip(handles.iter().cycle())
        .map(|(some, store)| {
            let (mut some, store, stopped) = (some.to_vec(), store.clone(), stopped.clone());
            run_beside(async move {
                while !*stopped.borrow() && !some.is_empty() {
                    let mut left = Vec::new();
                    for (id, version) in some {
                        let (next, login) = (id.rotate(), write("rotated"));
                        let written = login.version;
                        if store.rename(&id.key(), &next.key(), login, version).await? == RenameOutcome::Renamed {
                            left.push((next, written));
                        }
                    }
                    some = left;
                }
                Ok::<_, session_core::Error>(())
            })
        })
        .collect();
    let ended = cx.owners()?.delete_all(&owner(&name), None).await?.len();
    stop.send_replace(true);
    for renamed in renaming {
        renamed.await??;
    }
    let left = cx.owners()?.list(&owner(&name)).await?.len();
    ensure_eq!(left, 0, "how many sessions have escaped, of 64 that were renamed meanwhile ({ended} were ended)");
    Ok(())
}

cases! {
    promise OwnerIndex;

    /// Deleting by owner ends a session that is renamed continuously, whichever key it has at that
    /// time.
    #[needs(Owners)]
    async fn deleting_by_owner_races_renames(cx) {
        let rival = cx.rival().await?;
        for round in cx.rounds(300) {
            let name = format!("racer {round}");
            let id = SessionId::generate();
            let mut key = id.key();
            let mut version = put(&cx.store, &key, owned("x", &name), When::Absent).await?;
            let (store, begun) = (rival.clone(), Arc::new(AtomicBool::new(false)));
            let deletion_may_begin = begun.clone();
            // In every other round, the keys are of different shards, so partitioned stores must
            // follow across them.
            let any_shard = round % 2 == 0;
            let renaming = run_beside(async move {
                for renamed in 0..1_000 {
                    let next = if any_shard { SessionId::generate().key() } else { id.rotate().key() };
                    let login = write("rotated");
                    let written = login.version;
                    match store.rename(&key, &next, login, version).await? {
                        RenameOutcome::Renamed => (key, version) = (next, written),
                        _ => return Ok(renamed),
                    }
                    deletion_may_begin.store(true, Ordering::Relaxed);
                }
                Ok::<_, session_core::Error>(1_000)
            });
            while !begun.load(Ordering::Relaxed) && !renaming.is_finished() {
                tokio::task::yield_now().await;
            }
            let ended = cx.owners()?.delete_all(&owner(&name), None).await?.len();
            let renamed = renaming.await??;
            let left = cx.owners()?.list(&owner(&name)).await?;
            ensure!(left.is_empty(), "it escaped: renamed {renamed} times, {ended} ended, {} left", left.len());
        }
    }

    /// Deleting by owner ends each of many sessions that are renamed continuously, whichever keys
    /// they have at that time.
    #[needs(Owners)]
    async fn deleting_by_owner_races_many_renames(cx) {
        for round in cx.rounds(12) {
            crowd_is_ended(&cx, round).await?;
        }
    }

    /// A list of an owner's sessions contains each session that is live throughout, whatever other
    /// sessions come and go.
    #[needs(Owners)]
    async fn a_list_misses_none_while_others_go(cx) {
        let staying: BTreeSet<_> = create_owned(&cx.store, 300, "alice").await?.into_iter().collect();
        let going = create_owned(&cx.store, 700, "alice").await?;
        let deleter = cx.handles().await?.pop().unwrap_or_else(|| cx.store.clone());
        let deleting = run_beside(async move {
            for key in going {
                let _ = deleter.delete(&key, Expected::Any).await?;
            }
            Ok::<_, session_core::Error>(())
        });
        loop {
            let last = deleting.is_finished();
            let listed: BTreeSet<_> = cx.owners()?.list(&owner("alice")).await?.into_iter().collect();
            ensure!(listed.is_superset(&staying), "{} live sessions are not listed", staying.difference(&listed).count());
            let counted = cx.owners()?.count(&owner("alice")).await?;
            ensure!(counted >= 300, "{counted} sessions are counted, and 300 of them were live all the while");
            if last {
                break;
            }
        }
        deleting.await??;
    }

    /// A conditional save that races the deletion of all its owner's sessions does not bring its session back.
    #[needs(Owners)]
    async fn deleting_by_owner_races_writes(cx) {
        let rival = cx.rival().await?;
        for round in cx.rounds(200) {
            let (key, name) = (cx.key(), format!("racer {round}"));
            let version = put(&cx.store, &key, owned("x", &name), When::Absent).await?;
            let (writer, deleter, racer) = (cx.store.clone(), rival.clone(), owner(&name));
            let (written, ended) = race(
                round,
                async move { writer.write(&key, write("late"), When::Version(version)).await },
                async move {
                    match deleter.owners() {
                        Some(owners) => owners.delete_all(&racer, None).await.map(|ended| ended.len()),
                        None => Ok(0),
                    }
                },
            )
            .await?;
            let _ = written?;
            ensure_eq!(ended?, 1, "the session was live all along");
            ensure_absent(&cx.store, &key).await?;
            ensure_listed(cx.owners()?, &owner(&name), []).await?;
        }
    }

    /// The index agrees with the records after many concurrent changes of owner, renames and deletes.
    #[needs(Owners)]
    async fn the_index_agrees_with_the_records(cx) {
        let names = ["alice", "bob", "carol"];
        let steps = cx.rounds(30);
        let racers = cx.racers().await?;
        let tasks = (0..16_u32).zip(racers.iter().cycle()).map(|(task, store)| {
            let (store, steps) = (store.clone(), steps.clone());
            async move {
                let id = SessionId::generate();
                let mut key = id.key();
                let mut when = When::Absent;
                for step in steps {
                    let next = owned("x", names[((task + step) % 3) as usize]);
                    let version = next.version;
                    match (step % 5, when) {
                        (4, When::Version(_)) => {
                            let _ = store.delete(&key, Expected::Any).await?;
                            when = When::Absent;
                            continue;
                        }
                        (2, When::Version(seen)) => {
                            let new = id.rotate().key();
                            let _ = store.rename(&key, &new, next, seen).await?;
                            key = new;
                        }
                        _ => {
                            put(&*store, &key, next, when).await?;
                        }
                    }
                    when = When::Version(version);
                }
                Ok((key, store.read(&key).await?.and_then(|record| record.owner)))
            }
        });
        let mut held = Vec::new();
        for done in all::<Checked<_>, _>(tasks).await? {
            held.push(done?);
        }
        for name in names {
            let theirs = held.iter().filter(|(_, holder)| holder.as_ref() == Some(&owner(name))).map(|(key, _)| key);
            ensure_listed(cx.owners()?, &owner(name), theirs).await?;
        }
    }

    /// A write or rename that sets an owner, dropped at any point, leaves no live session that the index does not know.
    #[needs(Owners)]
    async fn a_dropped_write_is_in_the_index_or_nowhere(cx) {
        for polls in cx.rounds(24) {
            let name = format!("dropped {polls}");
            let ((old, new), created) = (cx.pair(), cx.key());
            let version = create(&cx.store, &old, "anonymous").await?;
            let _ = poll_then_drop(polls, cx.store.write(&created, owned("x", &name), When::Absent)).await;
            let _ = poll_then_drop(polls, cx.store.rename(&old, &new, owned("x", &name), version)).await;
            let theirs = owner(&name);
            for key in [created, new] {
                if cx.store.read(&key).await?.is_some() {
                    let listed = cx.owners()?.list(&theirs).await?;
                    ensure!(listed.contains(&key), "after {polls} polls, a live session is not in the index");
                }
            }
            cx.owners()?.delete_all(&theirs, None).await?;
            for key in [created, new] {
                // A dropped change may still be executed. A session that is then live has this
                // owner and is in the index.
                if cx.store.read(&key).await?.is_some() {
                    let listed = cx.owners()?.list(&theirs).await?;
                    ensure!(listed.contains(&key), "after {polls} polls, a live session escaped its owner's deletion");
                }
            }
        }
    }
}
