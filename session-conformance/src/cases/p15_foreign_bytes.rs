use std::collections::BTreeSet;

use session_core::{
    DeleteItem, DeleteOutcome, Error, ErrorKind, Expected, Operation, RenameOutcome, SessionId, SessionKey, SessionStore, TouchItem,
    Version, When, WriteItem, WriteOutcome,
};
use tokio::time::timeout;

use crate::{
    Capability, Context, Foreign,
    case::cases,
    context::TICK,
    events::{PATIENCE, hear_of},
    failure::{Checked, Failure, ensure, ensure_eq},
    listing::listing,
    assertions::{create, ensure_absent, ensure_live, hour, millis, owned, owner, put, write},
};

/// Returns true if the error reports foreign bytes, and names the operation of the caller.
fn refused(error: &Error, operation: Operation) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) && error.operation() == operation
}

async fn ensure_refused(store: &dyn SessionStore, key: &SessionKey, foreign: Foreign) -> Checked {
    match store.read(key).await {
        Ok(found) => ensure!(false, "{foreign:?} was read as {found:?}"),
        Err(error) => ensure!(refused(&error, Operation::Read), "{foreign:?} must be Corrupt or Unsupported, of a read, not: {error}"),
    }
    Ok(())
}

fn ensure_refusal<T: std::fmt::Debug>(result: Result<T, Error>, operation: Operation, foreign: Foreign) -> Checked {
    match result {
        Ok(outcome) => ensure!(false, "a {operation} over {foreign:?} must be Corrupt or Unsupported, not: {outcome:?}"),
        Err(error) => ensure!(refused(&error, operation), "a {operation} over {foreign:?} must be Corrupt or Unsupported, of that, not: {error}"),
    }
    Ok(())
}

async fn plant(cx: &Context, foreign: Foreign) -> Checked<SessionKey> {
    Ok(plant_over(cx, foreign).await?.0)
}

/// Plants foreign bytes over a record. The version is that of the replaced record.
async fn plant_over(cx: &Context, foreign: Foreign) -> Checked<(SessionKey, Version)> {
    let key = cx.key();
    let version = create(&cx.store, &key, "a record that will be replaced behind the store's back").await?;
    cx.plant(key, foreign).await?;
    cx.settle().await;
    Ok((key, version))
}

/// Makes each change on a key that holds foreign bytes, with records on both sides of it in each batch.
async fn change_beside(store: &dyn SessionStore, bad: SessionKey, version: Version, foreign: Foreign) -> Checked {
    let good = [SessionId::generate().key(), SessionId::generate().key()];
    for key in &good {
        create(store, key, "good").await?;
    }
    let around = [good[0], bad, good[1]];
    for when in [When::Absent, When::Version(version), When::Version(Version::random())] {
        ensure_refusal(store.write(&bad, write("x"), when).await, Operation::Write, foreign)?;
        // The other records are replaced blindly.
        let item = |key| WriteItem { key, write: write("good"), when: if key == bad { when } else { When::Any } };
        let outcomes = store.write_many(&around.map(item)).await;
        ensure_middle(outcomes, WriteOutcome::is_written, Operation::Write, foreign)?;
    }
    let found = store.read_many(&around).await;
    ensure_middle(found, Option::is_some, Operation::Read, foreign)?;
    ensure_refusal(store.touch(&bad, hour()).await, Operation::Touch, foreign)?;
    let touches = around.map(|key| TouchItem { key, ttl: hour() });
    ensure_middle(store.touch_many(&touches).await, |touched| *touched, Operation::Touch, foreign)?;
    for expected in [version, Version::random()].map(Expected::Version) {
        ensure_refusal(store.delete(&bad, expected).await, Operation::Delete, foreign)?;
        let beside = [SessionId::generate().key(), SessionId::generate().key()];
        for key in &beside {
            create(store, key, "beside").await?;
        }
        let [before, after] = beside.map(|key| DeleteItem { key, expected: Expected::Any });
        let outcomes = store.delete_many(&[before, DeleteItem { key: bad, expected }, after]).await;
        ensure_middle(outcomes, |outcome| *outcome == DeleteOutcome::Deleted, Operation::Delete, foreign)?;
        for key in &beside {
            ensure_absent(store, key).await?;
        }
    }
    for seen in [version, Version::random()] {
        let renamed = store.rename(&bad, &SessionId::generate().key(), write("x"), seen).await;
        ensure_refusal(renamed, Operation::Rename, foreign)?;
    }
    let old = SessionId::generate().key();
    let seen = create(store, &old, "mine").await?;
    match store.rename(&old, &bad, write("x"), seen).await {
        Ok(RenameOutcome::Occupied) => {}
        other => ensure_refusal(other, Operation::Rename, foreign)?,
    }
    ensure_live(store, &old, "mine", seen).await.map(drop)
}

/// Checks that the middle one of three items is refused, and that the others are correct.
fn ensure_middle<T: std::fmt::Debug>(
    results: Vec<Result<T, Error>>,
    is_good: impl Fn(&T) -> bool,
    operation: Operation,
    foreign: Foreign,
) -> Checked {
    ensure_eq!(results.len(), 3, "a batched {operation}: one result for each item");
    for (at, result) in results.into_iter().enumerate() {
        match result {
            result if at == 1 => ensure_refusal(result, operation, foreign)?,
            Ok(answer) => ensure!(is_good(&answer), "a batched {operation}: item {at}, beside {foreign:?}, is {answer:?}"),
            Err(error) => ensure!(false, "a batched {operation}: item {at}, beside {foreign:?}, failed: {error}"),
        }
    }
    Ok(())
}

cases! {
    promise ForeignBytes;

    /// Foreign bytes are an error for a read, not a panic and not an empty session.
    #[needs(ForeignBytes)]
    async fn a_read_says_what_it_found(cx) {
        for foreign in cx.foreign() {
            let key = plant(&cx, foreign).await?;
            ensure_refused(&*cx.store, &key, foreign).await?;
        }
        if cx.foreign().contains(&Foreign::NewerFormat) {
            let newer = plant(&cx, Foreign::NewerFormat).await?;
            let kind = cx.store.read(&newer).await.map_err(|error| error.kind());
            ensure_eq!(kind, Err(ErrorKind::Unsupported), "a newer format is no damage");
        }
    }

    /// Conditional writes and renames do not overwrite foreign bytes.
    #[needs(ForeignBytes)]
    async fn conditional_writes_leave_it_alone(cx) {
        for foreign in cx.foreign() {
            let (key, version) = plant_over(&cx, foreign).await?;
            // Part of the replaced record, or a newer format of it, can still show the version that
            // a writer has read.
            for when in [When::Absent, When::Version(Version::random()), When::Version(version)] {
                ensure_refusal(cx.store.write(&key, write("x"), when).await, Operation::Write, foreign)?;
                ensure_refused(&*cx.store, &key, foreign).await?;
            }
            let old = cx.key();
            let version = create(&cx.store, &old, "mine").await?;
            match cx.store.rename(&old, &key, write("x"), version).await {
                Ok(RenameOutcome::Occupied) => {}
                other => ensure_refusal(other, Operation::Rename, foreign)?,
            }
            ensure_live(&cx.store, &old, "mine", version).await?;
            ensure_refused(&*cx.store, &key, foreign).await?;
        }
    }

    /// In a batch, foreign bytes affect only their own item.
    #[needs(ForeignBytes)]
    async fn the_rest_of_a_batch_is_unharmed(cx) {
        let good = cx.key();
        let version = create(&cx.store, &good, "good").await?;
        for foreign in cx.foreign() {
            let bad = plant(&cx, foreign).await?;
            let found = cx.store.read_many(&[good, bad, cx.key(), good]).await;
            ensure_eq!(found.len(), 4, "one result for each item");
            for (at, found) in found.into_iter().enumerate() {
                match (at, found) {
                    (1, found) => ensure_refusal(found, Operation::Read, foreign)?,
                    (0 | 3, Ok(Some(record))) => ensure_eq!(record.version, version, "item {at} is another record"),
                    (2, Ok(None)) => {}
                    (at, other) => ensure!(false, "item {at} beside {foreign:?}: {other:?}"),
                }
            }
        }
    }

    /// Touch, conditional delete and rename do not mistake foreign bytes for a session, and do not
    /// change them.
    #[needs(ForeignBytes)]
    async fn other_changes_leave_it_alone(cx) {
        for foreign in cx.foreign() {
            let key = plant(&cx, foreign).await?;
            ensure_refusal(cx.store.touch(&key, hour()).await, Operation::Touch, foreign)?;
            let deleted = cx.store.delete(&key, Expected::Version(Version::random())).await;
            ensure_refusal(deleted, Operation::Delete, foreign)?;
            let renamed = cx.store.rename(&key, &cx.key(), write("x"), Version::random()).await;
            ensure_refusal(renamed, Operation::Rename, foreign)?;
            ensure_refused(&*cx.store, &key, foreign).await?;
        }
    }

    /// Foreign bytes can be deleted, and the key is usable again.
    #[needs(ForeignBytes)]
    async fn it_can_be_deleted(cx) {
        for foreign in cx.foreign() {
            let key = plant(&cx, foreign).await?;
            let mut events = match cx.store.watch().filter(|_| cx.has(Capability::Watch)) {
                Some(watch) => Some(watch.subscribe().await?),
                None => None,
            };
            let outcome = cx.store.delete(&key, Expected::Any).await?;
            ensure_eq!(outcome, DeleteOutcome::Deleted, "a delete with `Any` of {foreign:?}");
            if let Some(events) = &mut events {
                hear_of(events, key, "a delete of foreign bytes").await?;
            }
            let version = create(&cx.store, &key, "anew").await?;
            ensure_live(&cx.store, &key, "anew", version).await?;
        }
    }

    /// A write with `Any` replaces foreign bytes by the whole record, or is refused and does not
    /// change them: alone and in a batch, through either handle.
    #[needs(ForeignBytes)]
    async fn a_blind_write_replaces_it_or_is_refused(cx) {
        for store in cx.handles().await? {
            for foreign in cx.foreign() {
                for batched in [false, true] {
                    let (key, next) = (plant(&cx, foreign).await?, owned("anew", "alice"));
                    let version = next.version;
                    let mut events = match store.watch().filter(|_| cx.has(Capability::Watch)) {
                        Some(watch) => Some(watch.subscribe().await?),
                        None => None,
                    };
                    let outcome = if batched {
                        let mut outcomes = store.write_many(&[WriteItem { key, write: next, when: When::Any }]).await;
                        ensure_eq!(outcomes.len(), 1, "one result for each item");
                        outcomes.swap_remove(0)
                    } else {
                        store.write(&key, next, When::Any).await
                    };
                    cx.settle().await;
                    match outcome {
                        Ok(outcome) => {
                            ensure_eq!(outcome, WriteOutcome::Written, "a write with `Any` over {foreign:?}");
                            let record = ensure_live(&cx.store, &key, "anew", version).await?;
                            ensure_eq!(record.owner, Some(owner("alice")), "the owner of what replaced {foreign:?}");
                            if let Some(events) = &mut events {
                                hear_of(events, key, "a write over foreign bytes").await?;
                            }
                        }
                        refused => {
                            ensure_refusal(refused, Operation::Write, foreign)?;
                            ensure_refused(&*cx.store, &key, foreign).await?;
                        }
                    }
                }
            }
        }
    }

    /// No operation mistakes foreign bytes for a session or overwrites them, alone or in a batch,
    /// through either handle. Other items are served.
    #[needs(ForeignBytes)]
    async fn each_operation_leaves_it_alone(cx) {
        let handles = cx.handles().await?;
        for foreign in cx.foreign() {
            for (handle, store) in handles.iter().enumerate() {
                let (bad, version) = plant_over(&cx, foreign).await?;
                let touched = change_beside(&**store, bad, version, foreign).await;
                touched.map_err(|failure| failure.within(&format!("{foreign:?}, through handle {handle}")))?;
                cx.settle().await;
                for reader in &handles {
                    ensure_refused(&**reader, &bad, foreign).await?;
                }
            }
        }
    }

    /// Listings, counts, purges and the sessions of an owner work with foreign bytes among the
    /// records.
    #[needs(ForeignBytes)]
    async fn listings_go_on_beside_it(cx) {
        let handles = cx.handles().await?;
        let alice = owner("alice");
        let mut good = BTreeSet::new();
        for foreign in cx.foreign() {
            let key = cx.key();
            put(&cx.store, &key, owned("good", "alice"), When::Absent).await?;
            good.insert(key);
            let bad = cx.key();
            put(&cx.store, &bad, owned("will be replaced behind the store's back", "alice"), When::Absent).await?;
            cx.plant(bad, foreign).await?;
        }
        cx.settle().await;
        for store in &handles {
            if let Some(maintenance) = store.maintenance() {
                for limit in [1_000, 2, 1] {
                    let shown: BTreeSet<_> = listing(maintenance, limit).await?.into_iter().map(|listed| listed.key).collect();
                    ensure_eq!(shown, good, "the sessions that a listing in pages of {limit} shows beside foreign bytes");
                }
                let _ = maintenance.count().await?;
                let _ = maintenance.purge_expired(1_000).await?;
            }
            if let Some(owners) = store.owners() {
                let listed: BTreeSet<_> = owners.list(&alice).await?.into_iter().collect();
                ensure!(listed.is_superset(&good), "the list of an owner misses sessions beside foreign bytes");
                let _ = owners.count(&alice).await?;
            }
        }
        if let Some(owners) = cx.store.owners() {
            let ended: BTreeSet<_> = owners.delete_all(&alice, None).await?.into_iter().collect();
            ensure!(ended.is_superset(&good), "not all sessions of an owner were ended beside foreign bytes");
            for key in &good {
                ensure_absent(&cx.store, key).await?;
            }
        }
    }

    /// A purge ends, with any limit, if foreign bytes have replaced expired records.
    #[needs(ForeignBytes, Maintenance)]
    async fn purges_end_beside_it(cx) {
        let brief = millis(500);
        for foreign in cx.foreign() {
            for _ in 0..3 {
                let key = cx.key();
                let mut write = owned("will be replaced behind the store's back", "alice");
                write.ttl = brief;
                put(&cx.store, &key, write, When::Absent).await?;
                cx.plant(key, foreign).await?;
            }
        }
        let stays = cx.key();
        let version = create(&cx.store, &stays, "stays").await?;
        tokio::time::sleep(brief.as_duration() + TICK).await;
        for store in &cx.handles().await? {
            let Some(maintenance) = store.maintenance() else { continue };
            for limit in [0, 1, 2, 1_000] {
                let purge = timeout(PATIENCE, maintenance.purge_expired(limit)).await;
                let _ = purge.map_err(|_| Failure::new(format!("a purge of {limit} beside foreign bytes does not end")))??;
            }
        }
        ensure_live(&cx.store, &stays, "stays", version).await?;
    }

    /// Foreign bytes are removed by a delete with `Any`, alone and in a batch, and the key is usable again.
    #[needs(ForeignBytes)]
    async fn it_can_be_deleted_in_a_batch(cx) {
        for foreign in cx.foreign() {
            let (key, other) = (plant(&cx, foreign).await?, cx.key());
            let items = [other, key].map(|key| DeleteItem { key, expected: Expected::Any });
            let outcomes = cx.store.delete_many(&items).await;
            ensure_eq!(outcomes.len(), 2, "one result for each item");
            for (outcome, expected) in outcomes.into_iter().zip([DeleteOutcome::Absent, DeleteOutcome::Deleted]) {
                ensure_eq!(outcome?, expected, "batched deletes of nothing and of {foreign:?}");
            }
            let version = create(&cx.store, &key, "anew").await?;
            ensure_live(&cx.store, &key, "anew", version).await?;
        }
    }

    /// If foreign bytes, and then another owner's session, replace a session, nothing of it remains
    /// in the index.
    #[needs(ForeignBytes, Owners)]
    async fn its_former_owner_has_nothing_left(cx) {
        for foreign in cx.foreign() {
            let (key, alice, bob) = (cx.key(), owner("alice"), owner("bob"));
            put(&cx.store, &key, owned("x", "alice"), When::Absent).await?;
            cx.plant(key, foreign).await?;
            cx.settle().await;
            let _ = cx.store.delete(&key, Expected::Any).await?;
            put(&cx.store, &key, owned("x", "bob"), When::Absent).await?;
            ensure_eq!(cx.owners()?.count(&alice).await?, 0, "the sessions of the former owner, after {foreign:?}");
            ensure_eq!(cx.owners()?.list(&alice).await?, vec![], "the sessions of the former owner, after {foreign:?}");
            ensure_eq!(cx.owners()?.delete_all(&alice, None).await?, vec![], "what ends of the former owner's");
            ensure_eq!(cx.owners()?.list(&bob).await?, vec![key], "the sessions of the present owner");
            let _ = cx.store.delete(&key, Expected::Any).await?;
        }
    }
}
