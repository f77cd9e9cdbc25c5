use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::{Duration, Instant},
};

use session_core::{
    Bytes, DeleteItem, DeleteOutcome, Owner, Record, SessionKey, TouchItem, Version, Write, WriteItem,
};

use super::{Answer, Item};
use crate::context::TICK;

/// Longer than any change takes.
const LONGEST: Duration = Duration::from_mins(2);

/// The span, by our clock, in which a change took effect at some moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    /// The handle that the change used, if it is known.
    pub(crate) through: Option<usize>,
}

/// A live record, as the contract requires it.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) data: Bytes,
    pub(crate) version: Version,
    pub(crate) owner: Option<Owner>,
    pub(crate) ttl: Duration,
    pub(crate) since: Span,
    /// The handles through which its write was delivered.
    pub(crate) delivered: BTreeSet<usize>,
    /// The redelivery of its write to a store that may take it for the first delivery, and the ttl
    /// of that write.
    pub(crate) again: Option<(Span, Duration)>,
    /// Whether its expiry is uncertain: a rename of unknown outcome may not have set the ttl yet.
    pub(crate) ttl_is_unknown: bool,
}

impl Live {
    /// Records a redelivery of its write. A handle that caches its own writes recognises what it
    /// has sent itself.
    fn deliver_again(&mut self, write: &Write, since: Span, is_cached: bool) {
        if is_cached && since.through.is_none_or(|handle| self.delivered.insert(handle)) {
            self.again = Some((since, write.ttl.as_duration()));
        }
    }
}

/// The live records by key, by the contract. It does not model expiry: a run removes expired
/// records.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) live: BTreeMap<SessionKey, Live>,
    /// The changes of unknown outcome that have been made in this world, one bit each. Such a
    /// change can be made at any later time, but not be undone.
    pub(crate) made: u64,
    /// The new keys of renames of unknown outcome. No caller was given these keys.
    pub(crate) unknown: BTreeSet<SessionKey>,
    /// Whether a handle caches its own writes. Such a handle cannot know that another one has
    /// delivered the same write before, and may count the ttl from its own delivery.
    pub(crate) is_cached: bool,
}

impl World {
    /// Applies a change, and returns the required answer.
    pub(crate) fn apply(&mut self, item: &Item, since: Span) -> Answer<Live> {
        match item {
            Item::Write(WriteItem { key, write, when }) => {
                let is_cached = self.is_cached;
                if let Some(live) = self.live.get_mut(key).filter(|live| live.version == write.version) {
                    live.deliver_again(write, since, is_cached);
                    return Answer::Written;
                }
                let found = self.live.get(key);
                let version = found.map(|live| live.version);
                if !when.holds(version) {
                    return Answer::WriteConflict(found.cloned());
                }
                let inherited = found.and_then(|live| live.owner.clone());
                self.keep(*key, write, inherited, since);
                Answer::Written
            }
            Item::Touch(TouchItem { key, ttl }) => {
                let found = self.live.get_mut(key);
                Answer::Touched(found.is_some_and(|live| {
                    (live.ttl, live.since, live.ttl_is_unknown) = (ttl.as_duration(), since, false);
                    live.again = None;
                    true
                }))
            }
            Item::Delete(DeleteItem { key, expected }) => {
                Answer::Deleted(match self.live.get(key).map(|live| live.version) {
                    None => DeleteOutcome::Absent,
                    Some(version) if !expected.matches(version) => DeleteOutcome::Conflict,
                    Some(_) => {
                        self.live.remove(key);
                        DeleteOutcome::Deleted
                    }
                })
            }
            Item::Rename { old, new, write, expected } => {
                let is_cached = self.is_cached;
                let (found, there) = (self.live.get(old).cloned(), self.live.get_mut(new));
                match (found, there) {
                    (None, Some(live)) if live.version == write.version => {
                        live.deliver_again(write, since, is_cached);
                        Answer::Renamed
                    }
                    (Some(live), there) if live.version == *expected => {
                        if there.is_some() {
                            return Answer::Occupied;
                        }
                        self.live.remove(old);
                        self.keep(*new, write, live.owner, since);
                        Answer::Renamed
                    }
                    (found, _) => Answer::RenameConflict(found),
                }
            }
            Item::DeleteOwner { owner, except } => {
                let theirs = self.of(owner).into_iter().filter(|key| Some(*key) != *except);
                let theirs: BTreeSet<_> = theirs.collect();
                self.live.retain(|key, _| !theirs.contains(key));
                Answer::Ended(theirs)
            }
        }
    }

    /// Returns true if the change is a delete of the new key of a rename of unknown outcome.
    pub(crate) fn knows_nothing_of(&self, item: &Item) -> bool {
        matches!(item, Item::Delete(item) if self.unknown.contains(&item.key))
    }

    /// The state after a rename in several steps has ended the old record but did not recognise
    /// itself on a retry. It then removes the new record, as after a logout.
    pub(crate) fn without_the_renamed(&self, item: &Item) -> Option<Self> {
        let Item::Rename { old, new, .. } = item else { return None };
        let mut ended = self.clone();
        ended.live.remove(old);
        ended.live.remove(new);
        Some(ended)
    }

    fn keep(&mut self, key: SessionKey, write: &Write, inherited: Option<Owner>, since: Span) {
        let owner = write.owner.clone().apply(inherited);
        let (data, version, ttl) = (write.data.clone(), write.version, write.ttl.as_duration());
        let delivered = since.through.into_iter().collect();
        let live = Live { data, version, owner, ttl, since, delivered, again: None, ttl_is_unknown: false };
        self.live.insert(key, live);
    }

    /// The possible states after a change of which only `may_have_applied` is known.
    pub(crate) fn outcomes(
        &self,
        item: &Item,
        since: Span,
        may_have_applied: bool,
        number: u32,
    ) -> Vec<Self> {
        let (mut before, mut after) = (self.clone(), self.clone());
        if !may_have_applied {
            return vec![before];
        }
        // The server can also execute it later.
        after.apply(item, Span { ended: since.began + LONGEST, ..since });
        after.made |= 1 << (number % u64::BITS);
        if let Item::Rename { new, .. } = item {
            before.unknown.insert(*new);
            if let Some(live) = after.live.get_mut(new) {
                live.ttl_is_unknown = true;
            }
        }
        vec![before, after]
    }

    /// The state after these changes.
    pub(crate) fn after(&self, items: &[Item]) -> Self {
        let mut after = self.clone();
        let now = Instant::now();
        for item in items {
            // The time at which they take effect is not known yet.
            after.apply(item, Span { began: now, ended: now + LONGEST, through: None });
        }
        after
    }

    /// The keys under which the live record differs from that in `other`, or has a shorter ttl. A
    /// listener must be told of these.
    pub(crate) fn changed<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = SessionKey> + 'a {
        let keys: BTreeSet<_> = self.live.keys().chain(other.live.keys()).copied().collect();
        keys.into_iter().filter(|key| match (self.live.get(key), other.live.get(key)) {
            (Some(before), Some(after)) => before.version != after.version || after.ttl < before.ttl,
            (None, None) => false,
            _ => true,
        })
    }

    /// The live sessions of an owner.
    pub(crate) fn of(&self, owner: &Owner) -> BTreeSet<SessionKey> {
        let theirs = self.live.iter().filter(|(_, live)| live.owner.as_ref() == Some(owner));
        theirs.map(|(key, _)| *key).collect()
    }

    /// Compares the record that must be live under a key with the one seen by a call that was
    /// `asked` and has just returned. Returns the differences.
    pub(crate) fn compare(
        &self,
        key: &SessionKey,
        seen: Option<&Record>,
        asked: Asked,
    ) -> Result<(), String> {
        if self.unknown.contains(key) {
            return Ok(());
        }
        same(self.live.get(key), seen, asked)
    }
}

/// The time at which a call that returns a record began, and by how much `expires_in` may be too
/// short: a layer that keeps a record counts from before it sent its request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) at: Instant,
    pub(crate) slack: Duration,
}

impl Asked {
    pub(crate) fn now() -> Self {
        Self { at: Instant::now(), slack: Duration::ZERO }
    }
}

/// Returns true if a store that has resent the change after a lost reply may give this answer. The
/// first attempt then ended a record which the second found gone.
pub(crate) fn agrees_after_a_retry(must: &Answer<Live>, is: &Answer<Record>) -> bool {
    match (must, is) {
        (Answer::Deleted(DeleteOutcome::Deleted), Answer::Deleted(DeleteOutcome::Absent)) => true,
        (Answer::Ended(must), Answer::Ended(is)) => is.is_subset(must),
        _ => false,
    }
}

/// Compares an answer with the required one. Returns the differences.
pub(crate) fn agrees(must: &Answer<Live>, is: &Answer<Record>, asked: Asked) -> Result<(), String> {
    match (must, is) {
        (Answer::Written, Answer::Written)
        | (Answer::Renamed, Answer::Renamed)
        | (Answer::Occupied, Answer::Occupied) => Ok(()),
        (Answer::Touched(must), Answer::Touched(is)) if must == is => Ok(()),
        (Answer::Deleted(must), Answer::Deleted(is)) if must == is => Ok(()),
        (Answer::Ended(must), Answer::Ended(is)) if must == is => Ok(()),
        (Answer::WriteConflict(must), Answer::WriteConflict(is))
        | (Answer::RenameConflict(must), Answer::RenameConflict(is)) => {
            same(must.as_ref(), is.as_ref(), asked)
                .map_err(|differs| format!("the record in the conflict: {differs}"))
        }
        _ => Err(format!("the answer\n    expected: {must:?}\n       found: {is:?}")),
    }
}

fn same(must: Option<&Live>, is: Option<&Record>, asked: Asked) -> Result<(), String> {
    let (live, record) = match (must, is) {
        (None, None) => return Ok(()),
        (Some(live), Some(record)) => (live, record),
        (Some(live), None) => return Err(format!("\n    expected: {live}\n       found: nothing")),
        (None, Some(record)) => {
            return Err(format!("\n    expected: nothing\n       found: {}", shown(record)));
        }
    };
    let at_most = |ttl: Duration, since| ttl.saturating_sub(asked.at.saturating_duration_since(since)) + TICK;
    let at_least = |ttl: Duration, since: Instant| ttl.saturating_sub(since.elapsed() + asked.slack + TICK);
    let mut latest = at_most(live.ttl, live.since.ended);
    let mut soonest = at_least(live.ttl, live.since.began);
    if let Some((since, ttl)) = live.again {
        (latest, soonest) = (latest.max(at_most(ttl, since.ended)), soonest.min(at_least(ttl, since.began)));
    }
    let differs = if record.data != live.data {
        "other data"
    } else if record.version != live.version {
        "another version"
    } else if record.owner != live.owner {
        "another owner"
    } else if !live.ttl_is_unknown && (record.expires_in > latest || record.expires_in < soonest) {
        return Err(format!(
            "\n    expected: it expires in {soonest:?} to {latest:?}\n       found: in {:?}",
            record.expires_in
        ));
    } else {
        return Ok(());
    };
    Err(format!("{differs}\n    expected: {live}\n       found: {}", shown(record)))
}

impl fmt::Display for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = self.owner.as_ref().map(Owner::as_str);
        write!(f, "{}, {:?}, owner {owner:?}", bytes(&self.data), self.version)
    }
}

fn shown(record: &Record) -> String {
    let owner = record.owner.as_ref().map(Owner::as_str);
    format!(
        "{}, {:?}, owner {owner:?}, expires in {:?}",
        bytes(&record.data),
        record.version,
        record.expires_in
    )
}

/// Formats data for a failure. The data of the suite's own records is not secret.
fn bytes(data: &Bytes) -> String {
    const SHOWN: usize = 24;
    format!("{} bytes {:?}", data.len(), data.slice(..data.len().min(SHOWN)))
}
