use std::collections::BTreeSet;

use session_core::{
    DeleteItem, DeleteOutcome, Event, Expected, RenameOutcome, SessionId, SessionStore, TouchItem, When, WriteItem,
    WriteOutcome,
};

use crate::{
    case::cases,
    Namespace,
    failure::{Checked, ensure, ensure_eq},
    listing::listing,
    assertions::{live, create, ensure_absent, ensure_live, hour, owned, owner, put, write},
};

/// Performs every operation in one namespace with the keys and the owner of the other, whose
/// records must not change.
async fn ensure_apart(mine: &dyn SessionStore, theirs: &dyn SessionStore) -> Checked {
    let alice = owner("alice");
    let mut records = Vec::new();
    for n in 0..4 {
        let key = SessionId::generate().key();
        records.push((key, put(mine, &key, owned(format!("mine {n}"), "alice"), When::Absent).await?));
    }
    let keys: Vec<_> = records.iter().map(|(key, _)| *key).collect();
    let fresh = SessionId::generate().key();
    for (key, version) in &records {
        ensure_absent(theirs, key).await?;
        ensure_eq!(theirs.touch(key, hour()).await?, false, "a touch in the other namespace");
        let expected = Expected::Version(*version);
        ensure_eq!(theirs.delete(key, expected).await?, DeleteOutcome::Absent, "a delete in the other namespace");
        ensure_eq!(theirs.delete(key, Expected::Any).await?, DeleteOutcome::Absent, "a delete in the other namespace");
        let outcome = theirs.write(key, write("x"), When::Version(*version)).await?;
        ensure_eq!(outcome, WriteOutcome::Conflict(None), "a write in the other namespace");
        let outcome = theirs.rename(key, &fresh, write("x"), *version).await?;
        ensure_eq!(outcome, RenameOutcome::Conflict(None), "a rename in the other namespace");
        for touched in theirs.touch_many(&[TouchItem { key: *key, ttl: hour() }]).await {
            ensure_eq!(touched?, false, "a batched touch in the other namespace");
        }
        for outcome in theirs.delete_many(&[DeleteItem { key: *key, expected: Expected::Any }]).await {
            ensure_eq!(outcome?, DeleteOutcome::Absent, "a batched delete in the other namespace");
        }
        let item = WriteItem { key: *key, write: write("x"), when: When::Version(*version) };
        for outcome in theirs.write_many(&[item]).await {
            ensure_eq!(outcome?, WriteOutcome::Conflict(None), "a batched write in the other namespace");
        }
    }
    let listed = async |expected: usize, of_all: u64| {
        if let Some(owners) = theirs.owners() {
            ensure_eq!(owners.list(&alice).await?.len(), expected, "the sessions of an owner in the other namespace");
            ensure_eq!(owners.count(&alice).await?, expected as u64, "the count of an owner in the other namespace");
        }
        if let Some(maintenance) = theirs.maintenance() {
            ensure_eq!(maintenance.count().await?, of_all, "the count of the other namespace");
            ensure_eq!(listing(maintenance, 1_000).await?.len() as u64, of_all, "the listing of the other namespace");
            let _ = maintenance.purge_expired(1_000).await?;
        }
        Ok(())
    };
    let done: Checked = listed(0, 0).await;
    done?;
    // The same keys and the same owner, in the other namespace.
    for key in &keys[..2] {
        put(theirs, key, owned("theirs", "alice"), When::Absent).await?;
    }
    let outcome = theirs.rename(&keys[1], &keys[2], owned("theirs", "alice"), live(theirs, &keys[1]).await?.version).await?;
    ensure_eq!(outcome, RenameOutcome::Renamed, "the new key is free in the other namespace");
    let done: Checked = listed(2, 2).await;
    done?;
    if let Some(owners) = theirs.owners() {
        ensure_eq!(owners.delete_all(&alice, None).await?.len(), 2, "the sessions of an owner in the other namespace");
    }
    for key in &keys {
        let _ = theirs.delete(key, Expected::Any).await?;
    }
    for (n, (key, version)) in records.iter().enumerate() {
        let record = ensure_live(mine, key, &format!("mine {n}"), *version).await?;
        ensure_eq!(record.owner, Some(alice.clone()), "the owner in the first namespace");
    }
    if let Some(owners) = mine.owners() {
        let listed: BTreeSet<_> = owners.list(&alice).await?.into_iter().collect();
        ensure_eq!(listed, keys.iter().copied().collect(), "the sessions of the owner in the first namespace");
        owners.delete_all(&alice, None).await?;
    }
    for key in &keys {
        let _ = mine.delete(key, Expected::Any).await?;
    }
    Ok(())
}

cases! {
    promise Isolation;

    /// The same key in two namespaces is two records.
    async fn one_key_in_two_namespaces_is_two_records(cx) {
        let (here, there, key) = (cx.store.clone(), cx.another_namespace().await?, cx.key());
        let mine = create(&here, &key, "mine").await?;
        ensure_absent(&there, &key).await?;
        ensure_eq!(there.touch(&key, hour()).await?, false, "nothing is there");
        ensure_eq!(there.delete(&key, Expected::Any).await?, DeleteOutcome::Absent, "nothing is there");
        let renamed = there.rename(&key, &cx.key(), write("x"), mine).await?;
        ensure_eq!(renamed, RenameOutcome::Conflict(None), "nothing is there");
        let theirs = create(&there, &key, "theirs").await?;
        ensure_live(&here, &key, "mine", mine).await?;
        let _ = here.delete(&key, Expected::Any).await?;
        ensure_live(&there, &key, "theirs", theirs).await?;
    }

    /// Owners of the same name in two namespaces are independent.
    #[needs(Owners)]
    async fn owners_are_kept_apart(cx) {
        let (there, alice, key) = (cx.another_namespace().await?, owner("alice"), cx.key());
        put(&cx.store, &key, owned("mine", "alice"), When::Absent).await?;
        ensure!(there.owners().is_some(), "owners() is None in another namespace of the same target");
        if let Some(owners) = there.owners() {
            ensure_eq!(owners.list(&alice).await?, vec![], "this namespace has no sessions");
            ensure_eq!(owners.count(&alice).await?, 0, "this namespace has no sessions");
            ensure_eq!(owners.delete_all(&alice, None).await?.len(), 0, "this namespace has no sessions");
        }
        ensure_eq!(cx.owners()?.list(&alice).await?, vec![key], "the session in the first namespace must be left alone");
    }

    /// Listing, counting and purging affect one namespace only.
    #[needs(Maintenance)]
    async fn maintenance_is_kept_apart(cx) {
        let there = cx.another_namespace().await?;
        create(&cx.store, &cx.key(), "mine").await?;
        if let Some(maintenance) = there.maintenance() {
            ensure_eq!(maintenance.count().await?, 0, "this namespace has no sessions");
            ensure!(maintenance.page(None, 10).await?.records.is_empty(), "this namespace has no sessions");
        }
        ensure_eq!(cx.maintenance()?.count().await?, 1, "the first namespace has one session");
    }

    /// A watch reports changes of its own namespace only.
    #[needs(Watch)]
    async fn watches_are_kept_apart(cx) {
        use futures_util::StreamExt;
        let (there, (key, own)) = (cx.another_namespace().await?, cx.pair());
        ensure!(there.watch().is_some(), "watch() is None in another namespace of the same target");
        if let Some(watch) = there.watch() {
            let mut events = watch.subscribe().await?;
            create(&cx.store, &key, "elsewhere").await?;
            create(&there, &own, "here").await?;
            loop {
                match tokio::time::timeout(std::time::Duration::from_secs(10), events.next()).await {
                    Ok(Some(
                        Event::Changed { key, .. } | Event::Deleted { key } | Event::Expired { key },
                    )) if key == own => break,
                    Ok(Some(Event::Missed | Event::Interrupted)) => {}
                    other => ensure!(false, "the first event must be of this namespace's change: {other:?}"),
                }
            }
        }
    }

    /// A namespace and another one whose name begins with it are independent, whatever the owners
    /// are called.
    #[needs(Owners)]
    async fn namespaces_that_begin_alike_are_kept_apart(cx) {
        let name = Namespace::random();
        let (short, key) = (cx.namespace_called(name.clone()).await?, cx.key());
        put(&short, &key, owned("mine", "o:alice"), When::Absent).await?;
        for behind in ["_o", "_s", ":o", ":s", "x"] {
            let Ok(long) = cx.namespace_called(name.and(behind)).await else { continue };
            let other = cx.key();
            put(&long, &other, owned("theirs", "alice"), When::Absent).await?;
            let Some(owners) = long.owners() else { continue };
            for owner_name in ["alice", "o:alice"] {
                let listed = owners.list(&owner(owner_name)).await?;
                let expected = if owner_name == "alice" { vec![other] } else { vec![] };
                ensure_eq!(listed, expected, "the sessions of the longer namespace");
            }
            ensure_eq!(owners.delete_all(&owner("o:alice"), None).await?, vec![], "the other namespace has it");
            ensure_absent(&long, &key).await?;
            if let Some(owners) = short.owners() {
                ensure_eq!(owners.list(&owner("o:alice")).await?, vec![key], "the session of the shorter namespace");
                ensure_eq!(owners.list(&owner("alice")).await?, vec![], "the longer namespace has it");
            }
            if let Some(maintenance) = short.maintenance() {
                ensure_eq!(maintenance.count().await?, 1, "the sessions of the shorter namespace");
            }
        }
    }

    /// No operation in another namespace sees or changes the records of this one, even if one name
    /// begins with the other.
    async fn no_operation_crosses_namespaces(cx) {
        let name = Namespace::random();
        let (first, second) = (name.clone(), Namespace::random());
        let mut pairs = vec![(first.clone(), second)];
        for behind in ["_o", "_s", ":o", ":s", "x", "0"] {
            pairs.push((first.clone(), first.and(behind)));
            pairs.push((first.and(behind), first.clone()));
        }
        for (here, there) in pairs {
            let (Ok(mine), Ok(theirs)) = (cx.namespace_called(here).await, cx.namespace_called(there).await) else { continue };
            ensure_apart(&*mine, &*theirs).await?;
        }
    }
}
