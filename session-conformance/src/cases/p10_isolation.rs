use session_core::{DeleteOutcome, Event, Expected, RenameOutcome, When};

use crate::{
    case::cases,
    failure::{ensure, ensure_eq},
    steps::{create, ensure_absent, ensure_live, hour, owned, owner, put, write},
};

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

    /// Owners of the same name in two namespaces have nothing to do with each other.
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

    /// Listing, counting and purging see one namespace only.
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

    /// A watch hears its own namespace only.
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

    /// A namespace that another one begins with has nothing to do with it, whatever owners are called.
    #[needs(Owners)]
    async fn namespaces_that_begin_alike_are_kept_apart(cx) {
        let name = crate::Namespace::random();
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
}
