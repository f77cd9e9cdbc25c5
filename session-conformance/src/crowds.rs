//! Many calls at once through one handle, none waiting for another. Where a store batches,
//! coalesces or reorders them, each must be answered as if it had been alone.

use std::sync::Arc;

use futures_util::{
    future::{Either, join_all},
    stream::{FuturesUnordered, TryStreamExt},
};
use rand::RngExt;
use session_core::{
    DeleteItem, DeleteOutcome, Error, ErrorKind, Expected, Owner, OwnerChange, Result, SessionId, SessionKey,
    SessionStore, Version, When, Write, WriteOutcome,
};
use tokio::time::sleep;

use crate::{
    Context, Fault,
    assertions::{await_service, create, hour, live, owned, owner, put, write},
    failure::{Checked, Failure, ensure, ensure_eq},
    race::poll_then_drop,
};

/// Data lengths in bytes of some writes of a chain, for stores that limit the bytes of a batch.
const LENGTHS: [usize; 4] = [700, 1_600, 20_000, 64 * 1024];

/// How many sessions are busy at once.
const CROWD: usize = 12;

/// Sends chains of writes of some sessions. Each write builds on the one before it, and none waits
/// for it. Checks that the stored records match the answers. Some chains begin with the redelivery
/// of an earlier write, and some contain a write that is too large.
pub(crate) async fn chains_are_answered_link_by_link(cx: &Context) -> Checked {
    let handles = cx.handles().await?;
    for round in cx.rounds(12) {
        let chains =
            (0..CROWD).map(|n| chain(handles[n % handles.len()].clone(), round as usize * CROWD + n));
        let chains: FuturesUnordered<_> = chains.collect();
        chains.try_collect::<Vec<()>>().await?;
    }
    Ok(())
}

/// The state of a session: its data, its version, and its owner.
type State = (Vec<u8>, Version, Option<Owner>);

async fn chain(store: Arc<dyn SessionStore>, n: usize) -> Checked {
    let key = SessionId::generate().key();
    let root = When::Version(create(&*store, &key, "root").await?);
    let first = owned("link 0", "alice");
    put(&*store, &key, first.clone(), root).await?;
    let begins_again = n.is_multiple_of(3);
    let too_large = (n % 4 == 1).then(|| rand::rng().random_range(1..4));
    let mut links = Vec::new();
    let mut last = first.version;
    for at in 1..6 {
        let mut next = match rand::rng().random_range(0..4) {
            0 => owned(format!("link {at}"), "bob"),
            1 => owned(format!("link {at}"), "alice"),
            2 => write(format!("link {at}")).owner(OwnerChange::Clear),
            _ => write(format!("link {at}")),
        };
        if too_large == Some(at) {
            next.data = vec![b'x'; store.max_data_len() + 1].into();
        } else if rand::rng().random_range(0..3) == 0 {
            next.data = vec![b'x'; LENGTHS[rand::rng().random_range(0..LENGTHS.len())]].into();
        }
        let when = When::Version(last);
        last = next.version;
        links.push((next, when));
    }
    let again = begins_again.then(|| Either::Left(store.write(&key, first.clone(), root)));
    let linked = links.iter().map(|(next, when)| Either::Right(store.write(&key, next.clone(), *when)));
    let mut answers = join_all(again.into_iter().chain(linked)).await;
    if begins_again {
        // It may have arrived after others, and then finds another record there, but never itself.
        let found = match answers.remove(0)? {
            WriteOutcome::Written => None,
            WriteOutcome::Conflict(found) => found.map(|record| record.version),
        };
        ensure!(
            found != Some(first.version),
            "a write that is delivered again among others is told a conflict with itself"
        );
    }
    let mut states: Vec<State> = vec![(first.data.to_vec(), first.version, Some(owner("alice")))];
    let mut is_broken = false;
    for (at, ((next, _), answer)) in links.iter().zip(answers).enumerate() {
        let what = format!("link {} of a chain of writes", at + 1);
        if too_large == Some(at + 1) {
            let kind = answer.map_err(|error| error.kind());
            let (len, max) = (next.data.len(), store.max_data_len());
            ensure_eq!(kind.err(), Some(ErrorKind::TooLarge { len, max }), "{what}, which is too large");
            is_broken = true;
            continue;
        }
        match answer? {
            WriteOutcome::Written => {
                ensure!(!is_broken, "{what} was written, and the one before it was not");
                let owner = match &next.owner {
                    OwnerChange::Keep => states[states.len() - 1].2.clone(),
                    OwnerChange::Set(owner) => Some(owner.clone()),
                    OwnerChange::Clear => None,
                };
                states.push((next.data.to_vec(), next.version, owner));
            }
            // Nothing else changes the session, so the condition of the first write holds.
            WriteOutcome::Conflict(_) => {
                ensure!(at > 0, "{what} was not written");
                is_broken = true;
            }
        }
    }
    let found = live(&store, &key).await?;
    let found = (found.data.to_vec(), found.version, found.owner);
    ensure_eq!(
        Some(&found),
        states.last(),
        "what is there after a chain of which {} were written",
        states.len() - 1
    );
    Ok(())
}

/// Keeps some sessions busy with writes of stale versions, while each session is written with its
/// current version through each handle in turn. Each of the latter writes takes effect, and is
/// recognised when it is redelivered.
pub(crate) async fn stale_writes_hold_up_no_other(cx: &Context) -> Checked {
    let handles = cx.racers().await?;
    let rounds = cx.rounds(25);
    let keys: Vec<_> = (0..4).map(|_| cx.key()).collect();
    let mut seen = Vec::new();
    for key in &keys {
        seen.push(create(&cx.store, key, "x").await?);
    }
    for round in rounds {
        let store = &handles[round as usize % handles.len()];
        let writing = keys.iter().zip(&mut seen).map(async |(key, seen)| {
            let next = write(format!("round {round}"));
            let (first, again) = (next.clone(), next.clone());
            let stale = (0..6).map(|_| store.write(key, write("stale"), When::Version(Version::random())));
            let (before, made, again, after) = tokio::join!(
                join_all(stale),
                store.write(key, first, When::Version(*seen)),
                async {
                    // Sent when the first write is in flight.
                    tokio::task::yield_now().await;
                    store.write(key, again, When::Version(*seen)).await
                },
                store.write(key, write("stale"), When::Absent),
            );
            for stale in before.into_iter().chain([after]) {
                ensure!(!stale?.is_written(), "a write was made whose condition does not hold");
            }
            ensure_eq!(made?, WriteOutcome::Written, "a write on top of what is there, among stale ones");
            ensure_eq!(again?, WriteOutcome::Written, "the same write once more, among stale ones");
            let blind = write(format!("blind in round {round}"));
            *seen = blind.version;
            let free = SessionId::generate().key();
            let stale = |key| {
                join_all(
                    (0..4).map(move |_| store.write(key, write("stale"), When::Version(Version::random()))),
                )
            };
            let (_, blind, _, created) = tokio::join!(
                stale(key),
                store.write(key, blind, When::Any),
                stale(&free),
                store.write(&free, write("new"), When::Absent),
            );
            ensure_eq!(blind?, WriteOutcome::Written, "a write that asks for nothing, among stale ones");
            ensure_eq!(created?, WriteOutcome::Written, "a creation under a free key, among stale writes");
            Ok(())
        });
        join_all(writing).await.into_iter().collect::<Checked<Vec<()>>>()?;
    }
    Ok(())
}

/// Sends changes of many sessions at once while a fault hides the replies, and checks that the
/// report on each is true.
pub(crate) async fn each_of_a_crowd_is_told_truly(cx: &Context, fault: Fault) -> Checked {
    let broken = cx.breakable().await?;
    for round in cx.rounds(3) {
        let mut busy: Vec<(SessionKey, Version)> = Vec::new();
        for _ in 0..CROWD * 8 {
            busy.push((SessionId::generate().key(), Version::random()));
        }
        let creating = busy.iter().map(|(key, version)| {
            let first = Write { version: *version, ..write("before") };
            broken.store.write(key, first, When::Any)
        });
        for created in join_all(creating).await {
            drop(created?);
        }
        broken.control.inject(fault).await;
        let changing = busy.iter().enumerate().map(|(at, (key, seen))| {
            let store = broken.store.clone();
            async move {
                match (at + round as usize) % 3 {
                    0 => Ok(store.write(key, write("after"), When::Version(*seen)).await?.is_written()),
                    1 => Ok(store.delete(key, Expected::Version(*seen)).await? == DeleteOutcome::Deleted),
                    _ => Ok(store.write(key, write("after"), When::Any).await?.is_written()),
                }
            }
        });
        let told: Vec<Result<bool>> = join_all(changing).await;
        broken.control.heal(fault).await;
        await_service(&broken).await?;
        sleep(broken.deadline / 3).await;
        for ((key, seen), told) in busy.iter().zip(told) {
            let found = broken.store.read(key).await?;
            let is_as_before = found.is_some_and(|record| record.version == *seen);
            let is_true = match &told {
                // Nothing else changes the session.
                Ok(is_made) => *is_made && !is_as_before,
                Err(error) => error.is_transient() && (is_as_before || error.may_have_applied()),
            };
            ensure!(
                is_true,
                "a change among many is told {told:?}, and the session is as before: {is_as_before}"
            );
        }
    }
    Ok(())
}

/// Has many callers send changes during a freeze and then not poll them until after their deadline.
/// Checks that their sessions can be changed afterwards.
pub(crate) async fn callers_that_look_away_keep_nothing(cx: &Context) -> Checked {
    let broken = cx.breakable().await?;
    let keys: Vec<_> = (0..CROWD * 16).map(|_| SessionId::generate().key()).collect();
    broken.control.inject(Fault::Freeze).await;
    let mut asked: Vec<_> =
        keys.iter().map(|key| Box::pin(broken.store.write(key, write("in the freeze"), When::Any))).collect();
    for call in &mut asked {
        let _ = poll_then_drop(1, call.as_mut()).await;
    }
    sleep(broken.deadline * 3 / 2).await;
    broken.control.heal(Fault::Freeze).await;
    let changing = async {
        await_service(&broken).await?;
        sleep(broken.deadline / 3).await;
        let change = async |key| broken.store.write(key, write("after the freeze"), When::Any).await;
        // On a busy machine, one of so many calls may miss its deadline. If a key is still blocked,
        // the call fails once more.
        let changing = keys.iter().map(async |key| match change(key).await {
            Err(error) if error.is_transient() => Ok(Some(key)),
            changed => changed.map(|_| None),
        });
        let late = join_all(changing).await.into_iter().collect::<Result<Vec<_>>>()?;
        for changed in join_all(late.into_iter().flatten().map(change)).await {
            let _ = changed.map_err(|error: Error| {
                Failure::new(format!(
                    "a session cannot be changed after a freeze in which another caller looked away: {error}"
                ))
            })?;
        }
        Ok::<_, Failure>(())
    };
    let (changed, told) = tokio::join!(changing, join_all(asked));
    changed?;
    for told in told {
        if let Err(error) = told {
            ensure!(
                error.is_transient(),
                "a call that was looked at too late must be Unavailable, not: {error}"
            );
        }
    }
    let deletes: Vec<_> = keys.iter().map(|key| DeleteItem { key: *key, expected: Expected::Any }).collect();
    for deleted in broken.store.delete_many(&deletes).await {
        let _ = deleted?;
    }
    ensure!(broken.store.touch(&keys[0], hour()).await.is_ok_and(|touched| !touched), "it was ended");
    Ok(())
}
