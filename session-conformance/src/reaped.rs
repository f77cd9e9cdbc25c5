//! Sessions that are ended or replaced as soon as a change has made them, while its caller still
//! waits. They must not come back, and the caller must not be told that they were never made.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use session_core::{
    DeleteItem, DeleteOutcome, Expected, RenameOutcome, Result, SessionKey, SessionStore, TouchItem, Version,
    When, Write, WriteItem, WriteOutcome,
};
use tokio::{sync::watch, time::sleep};

use crate::{
    Breakable, Context, Fault,
    assertions::{await_service, create, hour, live, millis, write},
    failure::{Checked, Failure, ensure, ensure_eq},
};

/// A way of making a record that a store must not resend.
#[derive(Clone, Copy, Debug)]
enum Making {
    Any,
    Absent,
    AnyInABatch,
    AbsentInABatch,
    Replacing,
    ReplacingInABatch,
    Renaming,
}

const MAKING: [Making; 7] = [
    Making::Any,
    Making::Absent,
    Making::AnyInABatch,
    Making::AbsentInABatch,
    Making::Replacing,
    Making::ReplacingInABatch,
    Making::Renaming,
];

/// What happens to a record that was just made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Ended,
    Replaced,
}

impl Making {
    /// Makes the record `write` under `key`, from a record `old` with version `seen` if needed.
    /// Returns whether it was made.
    async fn make(
        self,
        store: &dyn SessionStore,
        key: SessionKey,
        next: Write,
        old: SessionKey,
        seen: Version,
    ) -> Result<bool> {
        let many = async |key, when| {
            let mut last = Ok(WriteOutcome::Conflict(None));
            for outcome in store.write_many(&[WriteItem { key, write: next.clone(), when }]).await {
                last = outcome;
            }
            last
        };
        Ok(match self {
            Self::Any => store.write(&key, next, When::Any).await?.is_written(),
            Self::Absent => store.write(&key, next, When::Absent).await?.is_written(),
            Self::AnyInABatch => many(key, When::Any).await?.is_written(),
            Self::AbsentInABatch => many(key, When::Absent).await?.is_written(),
            Self::Replacing => store.write(&old, next, When::Version(seen)).await?.is_written(),
            Self::ReplacingInABatch => many(old, When::Version(seen)).await?.is_written(),
            Self::Renaming => store.rename(&old, &key, next, seen).await? == RenameOutcome::Renamed,
        })
    }

    /// Returns true if "it was not made" can be correct for a record that existed. That is so if it
    /// is made in several steps and the last step finds it gone.
    fn may_be_undone(self) -> bool {
        matches!(self, Self::Renaming)
    }
}

/// Makes a record in each way while a fault hides the reply, and ends or replaces it past the fault
/// as soon as it exists.
pub(crate) async fn what_was_made_is_told_and_not_made_again(
    cx: &Context,
    fault: Fault,
    then: Then,
) -> Checked {
    let broken = cx.breakable().await?;
    for round in cx.rounds(12) {
        let mut prepared = Vec::new();
        for making in MAKING {
            let (old, key) = if round % 2 == 0 { cx.pair() } else { (cx.key(), cx.key()) };
            let seen = create(&broken.store, &old, "before").await?;
            prepared.push((making, old, key, seen));
        }
        let reaper = past_the_fault(&broken);
        broken.control.inject(fault).await;
        let (done, is_done) = watch::channel(false);
        let (mut making_all, mut reaping) = (Vec::new(), Vec::new());
        for (making, old, key, seen) in prepared {
            let (store, next) = (broken.store.clone(), write("after"));
            let made = match making {
                Making::Replacing | Making::ReplacingInABatch => old,
                _ => key,
            };
            let reap = reap(reaper.clone(), made, next.version, then, is_done.clone());
            reaping.push((making, made, next.version, tokio::spawn(reap)));
            making_all.push(tokio::spawn(async move { making.make(&*store, key, next, old, seen).await }));
        }
        // A resent request has to arrive before its caller gives up.
        sleep(broken.deadline / 3).await;
        broken.control.heal(fault).await;
        let mut told = Vec::new();
        for made in making_all {
            told.push(made.await?);
        }
        await_service(&broken).await?;
        sleep(broken.deadline / 5).await;
        done.send_replace(true);
        for ((making, made, version, reaped), told) in reaping.into_iter().zip(told) {
            if !reaped.await?? {
                continue;
            }
            let found = broken.store.read(&made).await?;
            let is_back = found.is_some_and(|record| record.version == version);
            let what = format!("made by {making:?}, after fault {fault:?}");
            ensure!(!is_back, "a session that was {then:?} meanwhile came back, {what}");
            let is_told = match &told {
                Ok(made) => *made || making.may_be_undone(),
                Err(error) => error.may_have_applied(),
            };
            ensure!(
                is_told,
                "a session was there, and its maker was told that nothing was changed: {told:?}, {what}"
            );
        }
    }
    Ok(())
}

/// A handle that the fault does not affect. If there is none, the store itself is used: where
/// connections are cut, its next ones work.
fn past_the_fault(broken: &Breakable) -> Arc<dyn SessionStore> {
    broken.beside.clone().unwrap_or_else(|| broken.store.clone())
}

/// Ends or replaces the record with this version as soon as it exists. Returns whether it existed,
/// and fails if it comes back.
async fn reap(
    store: Arc<dyn SessionStore>,
    key: SessionKey,
    version: Version,
    then: Then,
    is_done: watch::Receiver<bool>,
) -> Checked<bool> {
    let mut met = false;
    loop {
        // Read before the last check, so that no record is made after it.
        let last = *is_done.borrow();
        let meeting = match then {
            Then::Ended => store
                .delete(&key, Expected::Version(version))
                .await
                .map(|done| done == DeleteOutcome::Deleted),
            Then::Replaced => {
                let other = write("of another caller");
                store.write(&key, other, When::Version(version)).await.map(|done| done.is_written())
            }
        };
        match meeting {
            Ok(true) if met => {
                return Err(Failure::new(format!("a session that was {then:?} meanwhile came back")));
            }
            Ok(is_met) => met |= is_met,
            Err(error) if error.is_transient() => {}
            Err(error) => return Err(error.into()),
        }
        if last {
            return Ok(met);
        }
        sleep(Duration::from_millis(1)).await;
    }
}

/// Touches records while a fault hides the reply, and shortens their ttl past the fault as soon as
/// the touch has taken effect. The touch must not be repeated.
pub(crate) async fn a_touch_is_not_made_again(cx: &Context, fault: Fault) -> Checked {
    let broken = cx.breakable().await?;
    for round in cx.rounds(12) {
        let keys: Vec<_> = (0..4).map(|_| cx.key()).collect();
        for key in &keys {
            let mut brief = write("x");
            brief.ttl = millis(1_200_000);
            ensure!(broken.store.write(key, brief, When::Absent).await?.is_written(), "the key was free");
        }
        let beside = past_the_fault(&broken);
        broken.control.inject(fault).await;
        let touching: Vec<_> =
            keys.iter().map(|key| tokio::spawn(touch(broken.store.clone(), *key, round))).collect();
        let shortening: Vec<_> =
            keys.iter().map(|key| tokio::spawn(shorten(beside.clone(), *key, broken.deadline))).collect();
        sleep(broken.deadline / 3).await;
        broken.control.heal(fault).await;
        for touched in touching {
            touched.await?;
        }
        await_service(&broken).await?;
        sleep(broken.deadline / 5).await;
        for (key, shortened) in keys.iter().zip(shortening) {
            if shortened.await?? {
                let left = live(&broken.store, key).await?.expires_in;
                ensure!(
                    left <= Duration::from_mins(10),
                    "a touch was made again after fault {fault:?}: a session that another handle lets end sooner has {left:?} left"
                );
            }
        }
    }
    Ok(())
}

async fn touch(store: Arc<dyn SessionStore>, key: SessionKey, round: u32) {
    // The outcome is not checked here.
    if round.is_multiple_of(2) {
        drop(store.touch(&key, hour()).await);
    } else {
        drop(store.touch_many(&[TouchItem { key, ttl: hour() }]).await);
    }
}

/// Waits for the touch to take effect, up to `longest`, and then shortens the ttl. Returns whether
/// it took effect.
async fn shorten(store: Arc<dyn SessionStore>, key: SessionKey, longest: Duration) -> Checked<bool> {
    let begun = Instant::now();
    while begun.elapsed() < longest {
        match store.read(&key).await {
            Ok(Some(record)) if record.expires_in > Duration::from_mins(30) => {
                let shortened = store.touch(&key, millis(600_000)).await;
                if let Ok(shortened) = shortened {
                    ensure_eq!(shortened, true, "a touch of a live session");
                }
                return Ok(shortened.is_ok());
            }
            Err(error) if !error.is_transient() => return Err(error.into()),
            _ => sleep(Duration::from_millis(1)).await,
        }
    }
    Ok(false)
}

/// Ends sessions while a fault hides the reply, and creates others under their keys as soon as they
/// are gone. The new ones must stay.
pub(crate) async fn a_delete_is_not_made_again(cx: &Context, fault: Fault) -> Checked {
    let broken = cx.breakable().await?;
    for round in cx.rounds(12) {
        let keys: Vec<_> = (0..4).map(|_| cx.key()).collect();
        for key in &keys {
            create(&broken.store, key, "before").await?;
        }
        let beside = past_the_fault(&broken);
        broken.control.inject(fault).await;
        let deleting: Vec<_> =
            keys.iter().map(|key| tokio::spawn(delete(broken.store.clone(), *key, round))).collect();
        let creating: Vec<_> =
            keys.iter().map(|key| tokio::spawn(create_anew(beside.clone(), *key, broken.deadline))).collect();
        sleep(broken.deadline / 3).await;
        broken.control.heal(fault).await;
        for deleted in deleting {
            deleted.await?;
        }
        await_service(&broken).await?;
        sleep(broken.deadline / 5).await;
        for (key, created) in keys.iter().zip(creating) {
            if let Some(version) = created.await?? {
                let found = broken.store.read(key).await?.map(|record| record.version);
                ensure_eq!(
                    found,
                    Some(version),
                    "a session that was created after a delete, which fault {fault:?} has met"
                );
            }
        }
    }
    Ok(())
}

async fn delete(store: Arc<dyn SessionStore>, key: SessionKey, round: u32) {
    // The outcome is not checked here.
    if round.is_multiple_of(2) {
        drop(store.delete(&key, Expected::Any).await);
    } else {
        drop(store.delete_many(&[DeleteItem { key, expected: Expected::Any }]).await);
    }
}

/// Waits up to `longest` until the key is free, and creates another session under it. Returns its
/// version if it was created.
async fn create_anew(
    store: Arc<dyn SessionStore>,
    key: SessionKey,
    longest: Duration,
) -> Checked<Option<Version>> {
    let begun = Instant::now();
    while begun.elapsed() < longest {
        let anew = write("anew");
        let version = anew.version;
        match store.write(&key, anew, When::Absent).await {
            Ok(WriteOutcome::Written) => return Ok(Some(version)),
            Err(error) if !error.is_transient() => return Err(error.into()),
            // A creation that may have been applied is not known to exist.
            Err(error) if error.may_have_applied() => return Ok(None),
            _ => sleep(Duration::from_millis(1)).await,
        }
    }
    Ok(None)
}
