//! Translates the act of a step into concrete changes.

use session_core::{
    DeleteItem, Expected, OwnerChange, SessionId, SessionKey, TouchItem, Version, When, Write, WriteItem,
};

use super::{
    By, Item,
    run::Run,
    step::{Act, Content, Guess, PlannedOwner, bytes},
};
use crate::assertions::{hour, millis};

impl Run {
    /// The changes that an act stands for now. A batch has other items around them, which must be
    /// answered correctly, too.
    pub(crate) fn plan(&mut self, act: &Act) -> (Vec<Item>, By) {
        let fresh = || SessionId::generate().key();
        match act {
            Act::Write(planned, by) => {
                let mut items = Vec::new();
                for planned in planned {
                    let key = self.key(planned.key);
                    let when = match planned.guess {
                        Guess::Any => When::Any,
                        Guess::Absent => When::Absent,
                        guess => When::Version(self.version(key, guess)),
                    };
                    items.push(Item::Write(WriteItem { key, write: self.write(planned.content), when }));
                }
                let other =
                    |when| Item::Write(WriteItem { key: fresh(), write: Write::new("other", hour()), when });
                let before = vec![other(When::Version(Version::random()))];
                (among(items, *by, before, other(When::Absent)), *by)
            }
            Act::Touch(planned, by) => {
                let touch = |key, ttl| Item::Touch(TouchItem { key, ttl: millis(ttl) });
                let items = planned.iter().map(|(key, ttl)| touch(self.key(*key), *ttl)).collect();
                let before = vec![touch(fresh(), 5_000), touch(fresh(), 6_000)];
                (among(items, *by, before, touch(fresh(), 7_000)), *by)
            }
            Act::Delete(planned, by) => {
                let delete = |key, expected| Item::Delete(DeleteItem { key, expected });
                let mut items = Vec::new();
                for (key, guess) in planned {
                    let key = self.key(*key);
                    items.push(delete(
                        key,
                        match guess {
                            Guess::Any | Guess::Absent => Expected::Any,
                            guess => Expected::Version(self.version(key, *guess)),
                        },
                    ));
                }
                let never = Expected::Version(Version::random());
                let before = vec![delete(fresh(), Expected::Any), delete(fresh(), never)];
                (among(items, *by, before, delete(fresh(), Expected::Any)), *by)
            }
            Act::Rename { old, new, guess, content } => {
                let (old, new) = (self.key(*old), self.key(*new));
                let (write, expected) = (self.write(*content), self.version(old, *guess));
                (vec![Item::Rename { old, new, write, expected }], By::Single)
            }
            Act::DeleteOwner { owner, except } => {
                let except = except.map(|key| self.key(key));
                (vec![Item::DeleteOwner { owner: self.owner(*owner), except }], By::Single)
            }
            Act::Again | Act::Earlier | Act::AnotherWay { .. } | Act::Wait | Act::Purge => {
                (Vec::new(), By::Single)
            }
        }
    }

    fn write(&mut self, content: Content) -> Write {
        Write::new(bytes(content.data), millis(content.ttl)).owner(match content.owner {
            PlannedOwner::Keep => OwnerChange::Keep,
            PlannedOwner::Set(owner) => OwnerChange::Set(self.owner(owner)),
            PlannedOwner::Clear => OwnerChange::Clear,
        })
    }

    fn version(&self, key: SessionKey, guess: Guess) -> Version {
        let current = self.world().live.get(&key).map(|live| live.version);
        let past = self.past.get(&key).copied();
        match guess {
            Guess::Near(bit) => {
                let mut bytes = *current.unwrap_or_else(Version::random).as_bytes();
                bytes[usize::from(bit / 8) % Version::LEN] ^= 1 << (bit % 8);
                Version::from_bytes(bytes)
            }
            Guess::Stale => past.unwrap_or_else(Version::random),
            Guess::Any | Guess::Absent | Guess::Current => current.or(past).unwrap_or_else(Version::random),
        }
    }
}

/// Puts the items into a batch with others around them, or without others. More of the others are
/// before the items than after, so that an answer in the wrong place is noticed.
fn among(items: Vec<Item>, by: By, before: Vec<Item>, after: Item) -> Vec<Item> {
    match by {
        By::Single => items,
        By::Batch if rand::random_range(0..4) == 0 => items,
        By::Batch => before.into_iter().chain(items).chain([after]).collect(),
    }
}
