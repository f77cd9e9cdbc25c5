use std::{
    collections::{BTreeSet, HashSet},
    time::Instant,
};

use session_core::{
    Expected, Owner, OwnerChange, OwnerIndex, RenameOutcome, SessionId, SessionKey, SessionStore, Version, When,
    WriteItem, WriteOutcome,
};


use crate::{
    extensions,
    model::table::{Kind, rows},
    product::each_is_seen_everywhere,
    case::cases,
    failure::{Checked, ensure_eq},
    listing::listing,
    assertions::{create, ensure_absent, ensure_conflict, hour, live, owned, owner, patient_ttls, put, write},
};

/// Checks that the index lists and counts exactly these sessions.
pub(super) async fn ensure_listed<'a>(
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

pub(super) async fn create_owned(store: &dyn SessionStore, count: usize, name: &str) -> Checked<Vec<SessionKey>> {
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

    /// A write that meets a conflict does not change the index.
    #[needs(Owners)]
    async fn a_conflict_leaves_the_index_alone(cx) {
        let (key, owners) = (cx.key(), cx.owners()?);
        put(&cx.store, &key, owned("x", "alice"), When::Absent).await?;
        ensure_conflict(cx.store.write(&key, owned("y", "bob"), When::Absent).await?)?;
        ensure_conflict(cx.store.write(&key, owned("y", "bob"), When::Version(Version::random())).await?)?;
        ensure_listed(owners, &owner("alice"), [&key]).await?;
        ensure_listed(owners, &owner("bob"), []).await?;
    }

    /// A deleted session leaves the index, and its key can be reused with another owner.
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

    /// A renamed session is listed under its new key only.
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

    /// A session that was prolonged by a write, a touch or a rename stays listed until its new
    /// expiry.
    #[needs(Owners)]
    async fn a_session_that_is_given_more_time_stays_listed(cx) {
        let owners = cx.owners()?;
        for ttl in patient_ttls(200) {
            let begun = Instant::now();
            let ((old, new), written, touched) = (cx.pair(), cx.key(), cx.key());
            // Each has a separate index, which no other session keeps alive.
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
            return Ok(());
        }
        cx.fall_short("six operations took longer than twelve seconds".to_owned());
    }

    /// Deleting by owner ends all sessions of that owner, reports how many, and spares all others.
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

    /// Deleting all but one spares that one. The exception has an effect only for a session of this
    /// owner.
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

    /// Ten thousand sessions of one owner are listed, counted and ended, without affecting another
    /// owner's session.
    #[needs(Owners)]
    async fn ten_thousand_sessions_of_one_owner(cx) {
        let owners = cx.owners()?;
        let keys = create_owned(&cx.store, 10_000, "crowd").await?;
        let other = create_owned(&cx.store, 1, "other").await?;
        ensure_listed(owners, &owner("crowd"), &keys).await?;
        let last = cx.handles().await?.pop().unwrap_or_else(|| cx.store.clone());
        cx.settle().await;
        let owners = extensions::owners(&last)?;
        ensure_listed(owners, &owner("crowd"), &keys).await?;
        if let Some(maintenance) = last.maintenance() {
            ensure_eq!(maintenance.count().await?, 10_001, "how many live records are counted");
            let listed: HashSet<_> = listing(maintenance, usize::MAX).await?.into_iter().map(|listed| listed.key).collect();
            ensure_eq!(listed.len(), 10_001, "how many live records a listing meets in pages as long as can be");
            let listed: HashSet<_> = listing(maintenance, 25).await?.into_iter().map(|listed| listed.key).collect();
            ensure_eq!(listed.len(), 10_001, "how many live records a listing meets in short pages");
        }
        ensure_eq!(owners.delete_all(&owner("crowd"), Some(&keys[5_000])).await?.len(), 9_999, "all but one");
        ensure_listed(owners, &owner("crowd"), [&keys[5_000]]).await?;
        ensure_absent(&cx.store, &keys[0]).await?;
        ensure_absent(&cx.store, &keys[9_999]).await?;
        ensure_listed(owners, &owner("other"), &other).await?;
    }

    /// Owners with similar texts are different owners.
    #[needs(Owners)]
    async fn owners_that_look_alike_are_different(cx) {
        let owners = cx.owners()?;
        let longest = "x".repeat(Owner::MAX_LEN);
        let names = [
            "a", "A", "a ", " a", "aa", "á", "a\u{301}", "ａ", "*", "?", "%", "_", "a*", "a%", "[a]", "a:b", "a{b}",
            "'", "\"", "\\", "ß", "ss", "日本", "$o", "$$NOW", "0", "00", "null", "{}", "a,b", "%41", &longest, &longest[1..],
        ];
        let mut keys = Vec::new();
        for name in names {
            keys.push(create_owned(&cx.store, 1, name).await?[0]);
        }
        for (name, key) in names.iter().zip(&keys) {
            ensure_listed(owners, &owner(name), [key]).await?;
            ensure_eq!(live(&cx.store, key).await?.owner, Some(owner(name)), "the owner must come back as it was");
        }
        // One session changes its owner again and again.
        let (moving, mut last) = (cx.key(), None);
        for (name, key) in names.iter().zip(&keys) {
            put(&cx.store, &moving, owned("x", name), When::Any).await?;
            ensure_eq!(live(&cx.store, &moving).await?.owner, Some(owner(name)), "the owner that was just set");
            ensure_listed(owners, &owner(name), [key, &moving]).await?;
            if let Some((before, key)) = last.replace((name, key)) {
                ensure_listed(owners, &owner(before), [key]).await?;
            }
        }
        let _ = cx.store.delete(&moving, Expected::Any).await?;
        for (at, name) in names.iter().enumerate() {
            ensure_eq!(owners.delete_all(&owner(name), None).await?.len(), 1, "{name:?} has one session");
            for later in &keys[at + 1..] {
                live(&cx.store, later).await?;
            }
        }
    }

    /// Ending the sessions of an owner, in each state that they can be in, is answered by the
    /// contract and seen in each way, through each handle.
    #[needs(Owners)]
    async fn each_way_of_ending_an_owners_is_seen_in_each_way(cx) {
        each_is_seen_everywhere(&cx, rows(Kind::DeleteOwner)).await?;
    }

    /// Owners of any length and with any characters are set by each way of writing, found through
    /// each handle, and ended separately.
    #[needs(Owners)]
    async fn owners_at_the_edges_are_set_in_each_way(cx) {
        let handles = cx.handles().await?;
        let other = &handles[handles.len() - 1];
        let wide = "\u{1f980}".repeat(Owner::MAX_LEN / 4);
        let longest = format!("{}a", "x".repeat(Owner::MAX_LEN - 1));
        let sibling = format!("{}b", "x".repeat(Owner::MAX_LEN - 1));
        let names = ["\u{1f980}", &wide, &wide[4..], &longest, &sibling, "a\u{a0}", "o:a", "@a", "a/b", "$o", "$$NOW", "\u{202e}a"];
        let mut expected = Vec::new();
        for name in names {
            let (old, renamed) = cx.pair();
            let [written, batched] = [cx.key(), cx.key()];
            put(&cx.store, &written, owned("x", name), When::Absent).await?;
            for outcome in other.write_many(&[WriteItem { key: batched, write: owned("x", name), when: When::Any }]).await {
                ensure_eq!(outcome?, WriteOutcome::Written, "the key was free");
            }
            let version = create(&cx.store, &old, "anonymous").await?;
            let outcome = other.rename(&old, &renamed, owned("x", name), version).await?;
            ensure_eq!(outcome, RenameOutcome::Renamed, "the old record had the expected version");
            expected.push((owner(name), [written, batched, renamed]));
        }
        cx.settle().await;
        for (name, keys) in &expected {
            for store in &handles {
                let owners = extensions::owners(store)?;
                ensure_listed(owners, name, keys).await?;
                for found in store.read_many(keys).await {
                    ensure_eq!(found?.and_then(|record| record.owner).as_ref(), Some(name), "the owner comes back as it was");
                }
            }
        }
        for (at, (name, keys)) in expected.iter().enumerate() {
            let ended: BTreeSet<_> = cx.owners()?.delete_all(name, Some(&keys[0])).await?.into_iter().collect();
            ensure_eq!(ended, keys[1..].iter().copied().collect(), "the sessions of {:?} that were ended", name.as_str());
            for (later, theirs) in &expected[at + 1..] {
                ensure_listed(cx.owners()?, later, theirs).await?;
            }
        }
    }
}
