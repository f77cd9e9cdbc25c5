use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    mem,
};

use session_core::{Owner, SessionKey};

/// The owner index of one shard: the keys of each owner's records.
///
/// The hasher is the standard library's, because owners are often names that users choose.
#[derive(Default)]
pub(crate) struct OwnerKeys {
    keys: HashMap<Owner, Keys>,
}

/// An owner mostly has one session in a shard; that case needs no allocation.
enum Keys {
    One(SessionKey),
    #[allow(clippy::box_collection, reason = "it keeps the usual case small")]
    Many(Box<HashSet<SessionKey>>),
}

impl OwnerKeys {
    pub(crate) fn add(&mut self, owner: &Owner, key: SessionKey) {
        match self.keys.entry(owner.clone()) {
            Entry::Vacant(place) => {
                place.insert(Keys::One(key));
            }
            Entry::Occupied(mut place) => match place.get_mut() {
                Keys::Many(keys) => {
                    keys.insert(key);
                }
                Keys::One(only) if *only == key => {}
                Keys::One(only) => {
                    let keys = HashSet::from([*only, key]);
                    place.insert(Keys::Many(Box::new(keys)));
                }
            },
        }
    }

    /// Sets or clears the owner of the record under `key`. Returns the previous owner.
    pub(crate) fn change(
        &mut self,
        key: &SessionKey,
        owner: &mut Option<Owner>,
        next: Option<Owner>,
    ) -> Option<Owner> {
        if *owner == next {
            return next;
        }
        if let Some(next) = &next {
            self.add(next, *key);
        }
        let before = mem::replace(owner, next);
        if let Some(before) = &before {
            self.remove(before, key);
        }
        before
    }

    pub(crate) fn remove(&mut self, owner: &Owner, key: &SessionKey) {
        let now_empty = match self.keys.get_mut(owner) {
            None => false,
            Some(Keys::One(only)) => only == key,
            Some(Keys::Many(keys)) => {
                keys.remove(key);
                keys.is_empty()
            }
        };
        if now_empty {
            self.keys.remove(owner);
        }
    }

    pub(crate) fn of(&self, owner: &Owner) -> impl Iterator<Item = &SessionKey> {
        let (one, many) = match self.keys.get(owner) {
            None => (None, None),
            Some(Keys::One(only)) => (Some(only), None),
            Some(Keys::Many(keys)) => (None, Some(keys.iter())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}
