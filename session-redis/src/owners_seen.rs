use std::{collections::HashMap, fmt};

use parking_lot::Mutex;
use redis::Value;
use session_core::{Owner, SessionKey};

use crate::errors::{Refusal, refusal};

/// The last known owners of sessions. With them, a request can name the owner index that its script
/// will need.
///
/// A script whose index was not named changes nothing and says so, which costs a second round trip.
/// An index that is named in vain costs nothing.
#[derive(Default)]
pub(crate) struct OwnersSeen(Mutex<HashMap<SessionKey, Owner>>);

/// Far more sessions than are in use at any moment. A forgotten owner costs one round trip.
const MOST: usize = 1 << 16;

impl OwnersSeen {
    pub(crate) fn of(&self, key: &SessionKey) -> Option<Owner> {
        self.0.lock().get(key).cloned()
    }

    pub(crate) fn note(&self, key: &SessionKey, owner: &Owner) {
        let mut seen = self.0.lock();
        if seen.get(key) != Some(owner) {
            if seen.len() >= MOST {
                seen.clear();
            }
            seen.insert(*key, owner.clone());
        }
    }

    /// Notes an owner that a script has named.
    pub(crate) fn note_named(&self, key: &SessionKey, owner: &[u8]) {
        if let Some(owner) = std::str::from_utf8(owner).ok().and_then(|owner| Owner::new(owner).ok()) {
            self.note(key, &owner);
        }
    }

    /// The positions of the sessions that a script has left alone because their index was not
    /// named. Their owners are now noted.
    pub(crate) fn left_alone<'a>(
        &self,
        keys: impl Iterator<Item = &'a SessionKey>,
        replies: &[Value],
    ) -> Vec<usize> {
        let replies = keys.zip(replies).enumerate();
        let left = replies.filter_map(|(place, (key, reply))| match reply {
            Value::ServerError(error) => match refusal(error) {
                Refusal::Name(owner) => {
                    self.note_named(key, &owner);
                    Some(place)
                }
                _ => None,
            },
            _ => None,
        });
        left.collect()
    }
}

impl fmt::Debug for OwnersSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnersSeen({})", self.0.lock().len())
    }
}
