//! Compares what a store returns with what the contract requires.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use rand::seq::SliceRandom;
use session_core::SessionKey;
use tokio::time::sleep;

use super::{
    World,
    run::{Depth, Run},
    sight::{Seen, Sight, counted, listed},
    world::Asked,
};
use crate::failure::{Checked, Failure};

/// How long a store may still be `Unavailable` in the checks after a fault, and the pause between
/// checks.
const RECOVERY: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

impl Run {
    /// Waits until reads through other handles must be fresh.
    pub(crate) async fn until_fresh(&mut self) {
        if !self.staleness.is_zero() && !self.changed.is_empty() {
            sleep(self.staleness).await;
            self.changed.clear();
        }
    }

    /// Checks everything that this run has touched: in every way and through every handle, or in
    /// some.
    pub(crate) async fn look_everywhere(&mut self) -> Checked {
        self.until_fresh().await;
        self.looking_since = Instant::now();
        // Reads come first, through all handles, because a conflicting write can change the state
        // of a handle.
        let (mut reads, mut conflicts): (Vec<_>, Vec<_>) = (0..self.handles.len())
            .flat_map(|handle| Sight::ALL.map(|sight| (handle, sight)))
            .partition(|(_, sight)| sight.may_be_stale());
        let mut indexes: Vec<_> = (0..self.handles.len()).collect();
        if self.depth == Depth::Sample {
            let mut rng = rand::rng();
            reads.shuffle(&mut rng);
            conflicts.shuffle(&mut rng);
            indexes.shuffle(&mut rng);
            reads.truncate(2);
            conflicts.truncate(3);
            indexes.truncate(1);
        }
        for (handle, sight) in reads {
            self.look(handle, sight).await?;
        }
        for handle in &indexes {
            self.look_at_owners(*handle).await?;
        }
        for (handle, sight) in conflicts {
            self.look(handle, sight).await?;
        }
        if self.depth == Depth::Whole {
            for handle in indexes {
                self.look_at_owners(handle).await?;
            }
        }
        Ok(())
    }

    /// Checks each key in one way and through one handle.
    pub(crate) async fn look(&mut self, handle: usize, sight: Sight) -> Checked {
        for key in self.keys().collect::<Vec<_>>() {
            if sight.needs_a_record() && self.worlds.iter().any(|world| !world.live.contains_key(&key)) {
                continue;
            }
            if sight.may_be_stale() && self.may_be_stale(&key, handle) {
                continue;
            }
            let mut asked = Asked { at: Instant::now(), slack: self.slowest };
            let mut seen = sight.look(&*self.handle(handle), &key).await;
            while self.may_be_recovering(&seen) {
                sleep(PAUSE).await;
                asked.at = Instant::now();
                seen = sight.look(&*self.handle(handle), &key).await;
            }
            let seen = seen.map_err(|failure| {
                self.broken(format!("seen by {sight} through handle {handle}: {failure}"))
            })?;
            self.slowest = self.slowest.max(asked.at.elapsed());
            self.observe(&format!("under {key:?}, seen by {sight} through handle {handle}: "), |world| {
                match &seen {
                    Seen::Record(record) => world.compare(&key, record.as_ref(), asked),
                    Seen::Presence(_) if world.unknown.contains(&key) => Ok(()),
                    Seen::Presence(is) if *is == world.live.contains_key(&key) => Ok(()),
                    Seen::Presence(is) => {
                        Err(format!("whether a record is live\n    expected: {}\n       found: {is}", !is))
                    }
                }
            })?;
        }
        Ok(())
    }

    /// Removes from the model the records that a killed server has lost.
    pub(crate) async fn forget_what_is_lost(&mut self) -> Checked {
        for key in self.keys().collect::<Vec<_>>() {
            if self.handle(0).read(&key).await?.is_none() {
                for world in &mut self.worlds {
                    world.live.remove(&key);
                }
            }
        }
        self.done.push("the server has died and come back".to_owned());
        Ok(())
    }

    /// Compares the index with the sessions of each owner.
    pub(crate) async fn look_at_owners(&mut self, handle: usize) -> Checked {
        let is_stale = self.keys().any(|key| self.may_be_stale(&key, handle));
        for owner in self.owners.values().cloned().collect::<Vec<_>>() {
            let mut found = listed(&*self.handle(handle), &owner).await;
            while self.may_be_recovering(&found) {
                sleep(PAUSE).await;
                found = listed(&*self.handle(handle), &owner).await;
            }
            let found =
                found.map_err(|failure| self.broken(format!("seen by the owner index: {failure}")))?;
            let Some(found) = found.filter(|_| !is_stale) else { continue };
            let what = format!(
                "the sessions of {:?}, seen by the owner index through handle {handle}",
                owner.as_str()
            );
            self.observe(&what, |world| {
                let must = world.of(&owner);
                let found: BTreeSet<_> = found.difference(&world.unknown).copied().collect();
                if must == found {
                    Ok(())
                } else {
                    Err(format!("\n    expected: {must:?}\n       found: {found:?}"))
                }
            })?;
            let mut count = counted(&*self.handle(handle), &owner).await;
            while self.may_be_recovering(&count) {
                sleep(PAUSE).await;
                count = counted(&*self.handle(handle), &owner).await;
            }
            let count =
                count.map_err(|failure| self.broken(format!("seen by the count of an owner: {failure}")))?;
            self.observe(&format!("the count of that owner's sessions through handle {handle}"), |world| {
                let known = world.of(&owner).len() as u64;
                let is_right = (known..=known + world.unknown.len() as u64).contains(&count);
                if is_right { Ok(()) } else { Err(format!("\n    expected: {known}\n       found: {count}")) }
            })?;
        }
        Ok(())
    }

    fn may_be_recovering<T>(&self, seen: &Checked<T>) -> bool {
        let is_outage = seen.as_ref().err().is_some_and(Failure::is_outage);
        is_outage && self.has_met_faults && self.looking_since.elapsed() < RECOVERY
    }

    fn may_be_stale(&self, key: &SessionKey, handle: usize) -> bool {
        !self.staleness.is_zero() && self.changed.get(key).is_some_and(|by| *by != handle)
    }

    /// Keeps the worlds that explain the observation. There must be at least one.
    fn observe(&mut self, what: &str, explains: impl Fn(&World) -> Result<(), String>) -> Checked {
        let explained: Vec<_> = self.worlds.iter().map(&explains).collect();
        if explained.iter().all(Result::is_err) {
            let differs: BTreeSet<_> = explained.into_iter().filter_map(Result::err).collect();
            let differs: Vec<_> = differs.into_iter().collect();
            return Err(self.broken(format!(
                "{what}{}",
                differs.join("\n    or, if a change whose outcome is not known was made or not:")
            )));
        }
        // A change that was not made at this moment may be made later.
        let seen = self.worlds.iter().zip(&explained).filter(|(_, result)| result.is_ok());
        let seen: Vec<u64> = seen.map(|(world, _)| world.made).collect();
        self.worlds.retain(|world| seen.iter().any(|made| world.made & made == *made));
        Ok(())
    }
}
