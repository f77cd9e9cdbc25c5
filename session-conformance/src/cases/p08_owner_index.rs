use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use session_core::{
    Expected, Owner, OwnerChange, OwnerIndex, RenameOutcome, SessionId, SessionKey, SessionStore, Version, When,
    WriteItem, WriteOutcome,
};

use crate::{
    case::cases,
    failure::{Checked, ensure, ensure_eq},
    race::{poll_then_drop, race, run_beside},
    steps::{all, create, ensure_absent, ensure_conflict, hour, live, owned, owner, patient_ttls, put, write},
};

/// Checks that the index lists and counts exactly these sessions.
async fn ensure_listed<'a>(
    owners: &dyn OwnerIndex,
    owner: &Owner,
    keys: impl IntoIterator<Item = &'a SessionKey>,
) -> Checked {
    let expected: BTreeSet<SessionKey> = keys.into_iter().copied().collect();
    let listed = owners.list(owner).await?;
    let found: BTreeSet<SessionKey> = listed.iter().copied().collect();
    ensure_eq!(found.len(), listed.len(), "the list of {:?} repeats a session", owner.as_str());
    ensure_eq!(found, expected, "the sessions of {:?}", owner.as_str());
    ensure_eq!(owners.count(owner).await?, expected.len() as u64, "the count for {:?}", owner.as_str());
    Ok(())
}

async fn create_owned(store: &dyn SessionStore, count: usize, name: &str) -> Checked<Vec<SessionKey>> {
    let items: Vec<_> = (0..count)
        .map(|n| WriteItem {
            key: SessionId::generate().key(),
            write: owned(format!("session {n}"), name),
            when: When::Absent,
        })
        .collect();
    for some in items.chunks(500) {
        for outcome in store.write_many(some).await {
            ensure_eq!(outcome?, WriteOutcome::Written, "the keys were free");
        }
    }
    Ok(items.iter().map(|item| item.key).collect())
}

cases! {
    promise OwnerIndex;

    /// An owner is set, kept, changed and cleared by writes, and the index follows each time.
    #[needs(Owners)]
    async fn the_index_follows_the_owner(cx) {
        let (key, owners) = (cx.key(), cx.owners()?);
        let (alice, bob) = (owner("alice"), owner("bob"));
        let mut version = create(&cx.store, &key, "anonymous").await?;
        for (change, of_alice, of_bob) in [
            (OwnerChange::Keep, false, false),
            (OwnerChange::Set(alice.clone()), true, false),
            (OwnerChange::Keep, true, false),
            (OwnerChange::Set(alice.clone()), true, false),
            (OwnerChange::Set(bob.clone()), false, true),
            (OwnerChange::Keep, false, true),
            (OwnerChange::Clear, false, false),
            (OwnerChange::Keep, false, false),
        ] {
            version = put(&cx.store, &key, write("x").owner(change.clone()), When::Version(version)).await?;
            let expected = of_alice.then(|| alice.clone()).or_else(|| of_bob.then(|| bob.clone()));
            ensure_eq!(live(&cx.store, &key).await?.owner, expected, "the record's owner after {change:?}");
            ensure_listed(owners, &alice, of_alice.then_some(&key)).await?;
            ensure_listed(owners, &bob, of_bob.then_some(&key)).await?;
        }
    }

    /// A write that meets a conflict leaves the index alone.
    #[needs(Owners)]
    async fn a_conflict_leaves_the_index_alone(cx) {
        let (key, owners) = (cx.key(), cx.owners()?);
        put(&cx.store, &key, owned("x", "alice"), When::Absent).await?;
        ensure_conflict(cx.store.write(&key, owned("y", "bob"), When::Absent).await?)?;
        ensure_conflict(cx.store.write(&key, owned("y", "bob"), When::Version(Version::random())).await?)?;
        ensure_listed(owners, &owner("alice"), [&key]).await?;
        ensure_listed(owners, &owner("bob"), []).await?;
    }

    /// A session leaves the index when it is deleted, and its key can come back under another owner.
    #[needs(Owners)]
    async fn a_deleted_session_is_not_listed(cx) {
        let (key, owners) = (cx.key(), cx.owners()?);
        put(&cx.store, &key, owned("x", "alice"), When::Absent).await?;
        let _ = cx.store.delete(&key, Expected::Any).await?;
        ensure_listed(owners, &owner("alice"), []).await?;
        put(&cx.store, &key, owned("x", "bob"), When::Absent).await?;
        ensure_listed(owners, &owner("alice"), []).await?;
        ensure_listed(owners, &owner("bob"), [&key]).await?;
        ensure_eq!(owners.delete_all(&owner("alice"), None).await?.len(), 0, "alice has no session any more");
        live(&cx.store, &key).await?;
    }

    /// A renamed session is listed under its new key alone.
    #[needs(Owners)]
    async fn a_renamed_session_is_listed_once(cx) {
        let ((old, new), owners) = (cx.pair(), cx.owners()?);
        let version = put(&cx.store, &old, owned("x", "alice"), When::Absent).await?;
        let outcome = cx.store.rename(&old, &new, write("y"), version).await?;
        ensure_eq!(outcome, RenameOutcome::Renamed, "the old record had the expected version");
        ensure_listed(owners, &owner("alice"), [&new]).await?;
        let version = live(&cx.store, &new).await?.version;
        let third = cx.key();
        let _ = cx.store.rename(&new, &third, owned("z", "bob"), version).await?;
        ensure_listed(owners, &owner("alice"), []).await?;
        ensure_listed(owners, &owner("bob"), [&third]).await?;
    }

    /// A session that a write, a touch or a rename has given more time is listed for all of it.
    #[needs(Owners)]
    async fn a_session_that_is_given_more_time_stays_listed(cx) {
        let owners = cx.owners()?;
        for ttl in patient_ttls(200) {
            let begun = Instant::now();
            let ((old, new), written, touched) = (cx.pair(), cx.key(), cx.key());
            // Each has an index of its own, which nothing else keeps alive.
            let names = ["written", "touched", "renamed"].map(|how| format!("{how} within {ttl:?}"));
            let mut versions = Vec::new();
            for (key, name) in [written, touched, old].iter().zip(&names) {
                let mut brief = owned("x", name);
                brief.ttl = ttl;
                versions.push(put(&cx.store, key, brief, When::Absent).await?);
            }
            let outcomes = (
                cx.store.write(&written, write("y"), When::Version(versions[0])).await?,
                cx.store.touch(&touched, hour()).await?,
                cx.store.rename(&old, &new, write("y"), versions[2]).await?,
            );
            if begun.elapsed() > ttl.as_duration() / 2 {
                continue;
            }
            ensure_eq!(outcomes, (WriteOutcome::Written, true, RenameOutcome::Renamed), "all of them are live");
            tokio::time::sleep(3 * ttl.as_duration()).await;
            for (key, name) in [written, touched, new].iter().zip(&names) {
                ensure_listed(owners, &owner(name), [key]).await?;
            }
            break;
        }
    }

    /// Deleting by owner ends all sessions of that owner, says how many, and spares all others.
    #[needs(Owners)]
    async fn deleting_by_owner_spares_others(cx) {
        let owners = cx.owners()?;
        let of_alice = create_owned(&cx.store, 5, "alice").await?;
        let of_bob = create_owned(&cx.store, 3, "bob").await?;
        let of_nobody = cx.key();
        create(&cx.store, &of_nobody, "anonymous").await?;
        let ended: BTreeSet<_> = owners.delete_all(&owner("alice"), None).await?.into_iter().collect();
        ensure_eq!(ended, of_alice.iter().copied().collect(), "the sessions that were reported as ended");
        for key in &of_alice {
            ensure_absent(&cx.store, key).await?;
        }
        ensure_listed(owners, &owner("alice"), []).await?;
        ensure_listed(owners, &owner("bob"), &of_bob).await?;
        live(&cx.store, &of_nobody).await?;
        ensure_eq!(owners.delete_all(&owner("nobody"), None).await?.len(), 0, "nobody has no sessions");
    }

    /// Deleting all but one spares that one, and only if it is this owner's does that matter.
    #[needs(Owners)]
    async fn all_but_one_can_be_deleted(cx) {
        let owners = cx.owners()?;
        let of_alice = create_owned(&cx.store, 4, "alice").await?;
        let of_bob = create_owned(&cx.store, 1, "bob").await?;
        ensure_eq!(owners.delete_all(&owner("alice"), Some(&of_alice[2])).await?.len(), 3, "all of four but one");
        ensure_listed(owners, &owner("alice"), [&of_alice[2]]).await?;
        live(&cx.store, &of_alice[2]).await?;
        ensure_eq!(owners.delete_all(&owner("alice"), Some(&of_bob[0])).await?.len(), 1, "the one that was left");
        ensure_listed(owners, &owner("bob"), &of_bob).await?;
    }

    /// Ten thousand sessions of one owner are listed, counted and ended, without harm to another's.
    #[needs(Owners)]
    async fn ten_thousand_sessions_of_one_owner(cx) {
        let owners = cx.owners()?;
        let keys = create_owned(&cx.store, 10_000, "crowd").await?;
        let other = create_owned(&cx.store, 1, "other").await?;
        ensure_listed(owners, &owner("crowd"), &keys).await?;
        ensure_eq!(owners.delete_all(&owner("crowd"), Some(&keys[5_000])).await?.len(), 9_999, "all but one");
        ensure_listed(owners, &owner("crowd"), [&keys[5_000]]).await?;
        ensure_absent(&cx.store, &keys[0]).await?;
        ensure_absent(&cx.store, &keys[9_999]).await?;
        ensure_listed(owners, &owner("other"), &other).await?;
    }

    /// Owners whose texts are alike are different owners.
    #[needs(Owners)]
    async fn owners_that_look_alike_are_different(cx) {
        let owners = cx.owners()?;
        let longest = "x".repeat(Owner::MAX_LEN);
        let names = [
            "a", "A", "a ", " a", "aa", "á", "a\u{301}", "ａ", "*", "?", "%", "_", "a*", "a%", "[a]", "a:b", "a{b}",
            "'", "\"", "\\", "ß", "ss", "日本", &longest, &longest[1..],
        ];
        let mut keys = Vec::new();
        for name in names {
            keys.push(create_owned(&cx.store, 1, name).await?[0]);
        }
        for (name, key) in names.iter().zip(&keys) {
            ensure_listed(owners, &owner(name), [key]).await?;
            ensure_eq!(live(&cx.store, key).await?.owner, Some(owner(name)), "the owner must come back as it was");
        }
        for (at, name) in names.iter().enumerate() {
            ensure_eq!(owners.delete_all(&owner(name), None).await?.len(), 1, "{name:?} has one session");
            for later in &keys[at + 1..] {
                live(&cx.store, later).await?;
            }
        }
    }

    /// Deleting by owner ends a session that is being renamed all the while, whichever key it has then.
    #[needs(Owners)]
    async fn deleting_by_owner_races_renames(cx) {
        for round in 0..cx.rounds(300) {
            let name = format!("racer {round}");
            let id = SessionId::generate();
            let mut key = id.key();
            let mut version = put(&cx.store, &key, owned("x", &name), When::Absent).await?;
            let (store, begun) = (cx.store.clone(), Arc::new(AtomicBool::new(false)));
            let deletion_may_begin = begun.clone();
            // Every other round, the keys are of different shards, so that partitioned stores must follow across them.
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

    /// A conditional save that races the deletion of all its owner's sessions does not bring its session back.
    #[needs(Owners)]
    async fn deleting_by_owner_races_writes(cx) {
        for round in 0..cx.rounds(200) {
            let (key, name) = (cx.key(), format!("racer {round}"));
            let version = put(&cx.store, &key, owned("x", &name), When::Absent).await?;
            let (writer, deleter, racer) = (cx.store.clone(), cx.store.clone(), owner(&name));
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
        let tasks = (0..16_u32).map(|task| {
            let store = cx.store.clone();
            async move {
                let id = SessionId::generate();
                let mut key = id.key();
                let mut when = When::Absent;
                for step in 0..steps {
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
        for polls in 0..cx.rounds(24) {
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
                // What was dropped may still be carried out; what is live then is its owner's, and known to the index.
                if cx.store.read(&key).await?.is_some() {
                    let listed = cx.owners()?.list(&theirs).await?;
                    ensure!(listed.contains(&key), "after {polls} polls, a live session escaped its owner's deletion");
                }
            }
        }
    }
}
