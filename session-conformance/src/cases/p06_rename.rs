use std::time::Instant;

use session_core::{
    DeleteOutcome, Expected, OwnerChange, RenameOutcome, SessionId, Version, When, WriteOutcome,
};

use crate::{
    crossing::{one_of_two_gets_the_key, renames_across_change_nothing},
    model::table::{Kind, rows},
    product::each_is_seen_everywhere,
    case::cases,
    context::TICK,
    failure::{ensure, ensure_eq, ensure_let},
    race::{poll_then_drop, race},
    assertions::{
        all, create, ensure_absent, ensure_expires_in, ensure_live, hour, live, millis, owned, owner, put, write,
    },
};

cases! {
    promise Rename;

    /// A rename ends the old record and creates the new one with the content and ttl of the write,
    /// and the old owner.
    async fn content_moves_to_the_new_key(cx) {
        let (old, new) = cx.pair();
        let mut brief = owned("before", "alice");
        brief.ttl = millis(60_000);
        let version = put(&cx.store, &old, brief, When::Absent).await?;
        let login = write("after");
        let written = login.version;
        let begun = Instant::now();
        let outcome = cx.store.rename(&old, &new, login, version).await?;
        ensure_eq!(outcome, RenameOutcome::Renamed, "the old record had the expected version");
        ensure_absent(&cx.store, &old).await?;
        let record = ensure_live(&cx.store, &new, "after", written).await?;
        ensure_eq!(record.owner, Some(owner("alice")), "a rename that keeps the owner lost it");
        ensure_expires_in(&record, hour(), begun, begun)?;
    }

    /// A rename sets, keeps and clears the owner as a write does.
    async fn the_owner_is_set_kept_and_cleared(cx) {
        let id = SessionId::generate();
        let mut key = id.key();
        let mut version = create(&cx.store, &key, "anonymous").await?;
        let alice = Some(owner("alice"));
        for (change, expected) in [
            (OwnerChange::Keep, None),
            (OwnerChange::Set(owner("alice")), alice.clone()),
            (OwnerChange::Keep, alice),
            (OwnerChange::Set(owner("bob")), Some(owner("bob"))),
            (OwnerChange::Clear, None),
        ] {
            let next = id.rotate().key();
            let login = write("x").owner(change.clone());
            let written = login.version;
            let outcome = cx.store.rename(&key, &next, login, version).await?;
            ensure_eq!(outcome, RenameOutcome::Renamed, "the old record had the expected version");
            ensure_eq!(live(&cx.store, &next).await?.owner, expected, "the owner after {change:?}");
            (key, version) = (next, written);
        }
    }

    /// A rename with a stale version changes nothing, and returns the live record.
    async fn a_stale_version_changes_nothing(cx) {
        let (old, new) = cx.pair();
        let first = create(&cx.store, &old, "first").await?;
        let second = put(&cx.store, &old, write("second"), When::Version(first)).await?;
        for stale in [first, Version::random()] {
            let outcome = cx.store.rename(&old, &new, write("late"), stale).await?;
            ensure_let!(RenameOutcome::Conflict(Some(record)) = outcome, "the record has another version");
            ensure_eq!(record.version, second, "the conflict must carry the live record");
            ensure_absent(&cx.store, &new).await?;
        }
        ensure_live(&cx.store, &old, "second", second).await?;
    }

    /// Renaming what is absent creates nothing.
    async fn renaming_nothing_creates_nothing(cx) {
        let (old, new) = cx.pair();
        let outcome = cx.store.rename(&old, &new, write("x"), Version::random()).await?;
        ensure_eq!(outcome, RenameOutcome::Conflict(None), "nothing was ever there");
        ensure_absent(&cx.store, &old).await?;
        ensure_absent(&cx.store, &new).await?;
    }

    /// A rename to a key that is taken changes neither record.
    async fn a_taken_key_is_left_alone(cx) {
        let (old, new) = cx.pair();
        let version = create(&cx.store, &old, "mine").await?;
        let theirs = create(&cx.store, &new, "theirs").await?;
        let outcome = cx.store.rename(&old, &new, write("x"), version).await?;
        ensure_eq!(outcome, RenameOutcome::Occupied, "the new key is taken");
        ensure_live(&cx.store, &old, "mine", version).await?;
        ensure_live(&cx.store, &new, "theirs", theirs).await?;
    }

    /// An expired record under the new key does not prevent a rename.
    async fn an_expired_record_does_not_take_the_key(cx) {
        let (old, new) = cx.pair();
        let version = create(&cx.store, &old, "mine").await?;
        create(&cx.store, &new, "theirs").await?;
        cx.store.touch(&new, millis(1)).await?;
        tokio::time::sleep(millis(1).as_duration() + TICK).await;
        let outcome = cx.store.rename(&old, &new, write("x"), version).await?;
        ensure_eq!(outcome, RenameOutcome::Renamed, "what was under the new key has expired");
        ensure_absent(&cx.store, &old).await?;
    }

    /// A rename works between any two keys, also of different shards.
    async fn shards_do_not_matter(cx) {
        for _ in cx.rounds(20) {
            let (old, new) = (cx.key(), cx.key());
            let version = put(&cx.store, &old, owned("before", "alice"), When::Absent).await?;
            let login = write("after");
            let written = login.version;
            let outcome = cx.store.rename(&old, &new, login, version).await?;
            ensure_eq!(outcome, RenameOutcome::Renamed, "the old record had the expected version");
            ensure_absent(&cx.store, &old).await?;
            let record = ensure_live(&cx.store, &new, "after", written).await?;
            ensure_eq!(record.owner, Some(owner("alice")), "the owner must come along");
        }
    }

    /// Of 16 concurrent renames of one record, one wins, and nothing of the others is left.
    async fn one_of_many_renames_wins(cx) {
        let racers = cx.racers().await?;
        for _ in cx.rounds(20) {
            let id = SessionId::generate();
            let old = id.key();
            let version = create(&cx.store, &old, "before").await?;
            let news: Vec<_> = (0..16).map(|_| id.rotate().key()).collect();
            let renames = news.clone().into_iter().zip(racers.iter().cycle()).map(|(new, store)| {
                let store = store.clone();
                async move { store.rename(&old, &new, write("after"), version).await }
            });
            let mut won = 0;
            for (outcome, new) in all(renames).await?.into_iter().zip(&news) {
                if outcome? == RenameOutcome::Renamed {
                    won += 1;
                    live(&cx.store, new).await?;
                } else {
                    ensure_absent(&cx.store, new).await?;
                }
            }
            ensure_eq!(won, 1, "one of 16 renames must win");
            ensure_absent(&cx.store, &old).await?;
        }
    }

    /// A rename that races a conditional write: one wins, and nothing of the other is left.
    async fn a_rename_races_a_write(cx) {
        let rival = cx.rival().await?;
        for round in cx.rounds(300) {
            let (old, new) = cx.pair();
            let version = create(&cx.store, &old, "before").await?;
            let (renamer, writer) = (cx.store.clone(), rival.clone());
            let (renamed, written) = race(
                round,
                async move { renamer.rename(&old, &new, write("rotated"), version).await },
                async move { writer.write(&old, write("saved"), When::Version(version)).await },
            )
            .await?;
            match (renamed?, written?) {
                (RenameOutcome::Renamed, WriteOutcome::Conflict(None)) => {
                    ensure_absent(&cx.store, &old).await?;
                    live(&cx.store, &new).await?;
                }
                (RenameOutcome::Conflict(Some(_)), WriteOutcome::Written) => {
                    ensure_absent(&cx.store, &new).await?;
                    live(&cx.store, &old).await?;
                }
                both => ensure!(false, "exactly one of the two must win: {both:?}"),
            }
        }
    }

    /// A rename dropped at any point loses no session: the old record is whole, or the new one has
    /// replaced it.
    async fn a_dropped_rename_loses_nothing(cx) {
        for polls in cx.rounds(24) {
            let (old, new) = cx.pair();
            let version = create(&cx.store, &old, "before").await?;
            let login = write("after");
            let written = login.version;
            let _ = poll_then_drop(polls, cx.store.rename(&old, &new, login, version)).await;
            // A dropped rename may still be executed. A conditional delete of the old key settles
            // that.
            let before = cx.store.read(&old).await?;
            let ended = cx.store.delete(&old, Expected::Version(version)).await?;
            match (before, ended) {
                (Some(record), DeleteOutcome::Deleted) => {
                    ensure_eq!(record.data, b"before"[..], "the old record must be whole");
                }
                (_, DeleteOutcome::Absent) => {
                    ensure_live(&cx.store, &new, "after", written).await?;
                }
                (before, ended) => ensure!(false, "after {polls} polls: {before:?}, then {ended:?}"),
            }
        }
    }

    /// After a failed rename, another one works with the record that the failure returned.
    async fn a_failed_rename_can_be_followed_by_another(cx) {
        let (old, new) = cx.pair();
        let first = create(&cx.store, &old, "first").await?;
        put(&cx.store, &old, write("second"), When::Version(first)).await?;
        let outcome = cx.store.rename(&old, &new, write("login"), first).await?;
        ensure_let!(RenameOutcome::Conflict(Some(record)) = outcome, "the record has another version");
        let outcome = cx.store.rename(&old, &new, write("login"), record.version).await?;
        ensure_eq!(outcome, RenameOutcome::Renamed, "this is the version that was just reported");
    }

    /// A redelivered rename, as after a lost reply, takes effect once and reports success each
    /// time.
    async fn a_redelivered_rename_knows_itself(cx) {
        for shards in ["one", "two"] {
            let (old, new) = if shards == "one" { cx.pair() } else { (cx.key(), cx.key()) };
            let version = put(&cx.store, &old, owned("before", "alice"), When::Absent).await?;
            let login = write("after");
            let begun = Instant::now();
            for delivery in 1..=3 {
                let outcome = cx.store.rename(&old, &new, login.clone(), version).await?;
                ensure_eq!(outcome, RenameOutcome::Renamed, "delivery {delivery} of the rename ({shards} shards)");
                ensure_absent(&cx.store, &old).await?;
            }
            let record = ensure_live(&cx.store, &new, "after", login.version).await?;
            ensure_eq!(record.owner, Some(owner("alice")), "the owner must come along");
            ensure_expires_in(&record, hour(), begun, begun)?;
        }
    }

    /// A rename redelivered after a later write, or after the session was ended, changes nothing
    /// and revives nothing.
    async fn a_redelivered_rename_does_not_undo_what_came_later(cx) {
        let (old, new) = cx.pair();
        let version = create(&cx.store, &old, "before").await?;
        let login = write("login");
        let outcome = cx.store.rename(&old, &new, login.clone(), version).await?;
        ensure_eq!(outcome, RenameOutcome::Renamed, "the old record had the expected version");
        let later = put(&cx.store, &new, write("later"), When::Version(login.version)).await?;
        let outcome = cx.store.rename(&old, &new, login.clone(), version).await?;
        ensure_eq!(outcome, RenameOutcome::Conflict(None), "what is live is another write");
        ensure_live(&cx.store, &new, "later", later).await?;
        let _ = cx.store.delete(&new, Expected::Any).await?;
        let outcome = cx.store.rename(&old, &new, login, version).await?;
        ensure_eq!(outcome, RenameOutcome::Conflict(None), "the session was ended");
        ensure_absent(&cx.store, &old).await?;
        ensure_absent(&cx.store, &new).await?;
    }

    /// After a rename dropped at any point, a logout, and a redelivery of the rename, the ended
    /// session does not come back.
    async fn a_dropped_and_redelivered_rename_revives_nothing(cx) {
        for polls in cx.rounds(24) {
            let (old, new) = cx.pair();
            let version = create(&cx.store, &old, "before").await?;
            let login = write("after");
            let _ = poll_then_drop(polls, cx.store.rename(&old, &new, login.clone(), version)).await;
            let logout = cx.store.delete(&old, Expected::Any).await?;
            let outcome = cx.store.rename(&old, &new, login.clone(), version).await?;
            match (logout, outcome) {
                (DeleteOutcome::Deleted, RenameOutcome::Renamed) => {
                    ensure!(false, "after {polls} polls, a rename succeeds whose old record a logout has ended");
                }
                (_, RenameOutcome::Renamed) => drop(ensure_live(&cx.store, &new, "after", login.version).await?),
                (_, outcome) => ensure_eq!(outcome, RenameOutcome::Conflict(None), "nothing is under the old key"),
            }
        }
    }

    /// A rename to the session's own key does not end it.
    async fn a_rename_onto_itself_ends_nothing(cx) {
        let key = cx.key();
        let version = put(&cx.store, &key, owned("before", "alice"), When::Absent).await?;
        let login = write("after");
        let (data, written) = match cx.store.rename(&key, &key, login.clone(), version).await? {
            RenameOutcome::Renamed => ("after", login.version),
            RenameOutcome::Occupied => ("before", version),
            outcome @ RenameOutcome::Conflict(_) => {
                ensure!(false, "the record is live, and had the expected version: {outcome:?}");
                ("", version)
            }
        };
        let record = ensure_live(&cx.store, &key, data, written).await?;
        ensure_eq!(record.owner, Some(owner("alice")), "the owner after a rename to the same key");
    }

    /// Of two sessions that are concurrently renamed to each other's key, through both handles,
    /// both stay, and neither call waits for the other for ever.
    async fn renames_across_end(cx) {
        renames_across_change_nothing(&cx).await?;
    }

    /// Of two sessions that are concurrently renamed to one key, through both handles, one gets it,
    /// and the other stays as it was.
    async fn one_of_two_renames_gets_the_key(cx) {
        one_of_two_gets_the_key(&cx).await?;
    }

    /// Each way of renaming, in each state that a record can be in, is answered by the contract and seen in each way, through each handle.
    async fn each_way_of_renaming_is_seen_in_each_way(cx) {
        each_is_seen_everywhere(&cx, rows(Kind::Rename)).await?;
    }
}
