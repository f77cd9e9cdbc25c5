use std::{collections::HashMap, future::Future};

use session_core::{
    DeleteItem, DeleteOutcome, Error, Operation, OwnerChange, Record, Result, SessionKey, SessionStore,
    TouchItem, When, WriteItem, WriteOutcome,
};

use crate::waiting::Item;

/// An operation that exists as a single one and as a batch.
pub(crate) trait Kind: Item<Outcome = Result<Self::Answer>> + Clone {
    type Answer: Clone + Send;

    const OPERATION: Operation;

    /// Carries out one.
    fn one<S: SessionStore>(self, store: &S) -> impl Future<Output = Self::Outcome> + Send;

    /// Carries out many, in one go.
    fn many<S: SessionStore>(items: &[Self], store: &S) -> impl Future<Output = Vec<Self::Outcome>> + Send;

    /// Whether an outcome may say what comes of other changes of the same key.
    fn tells_of_others(_: &Self::Outcome) -> bool {
        false
    }

    /// What comes of `other` if it is carried out at the moment at which a change of the same key had this outcome; `None` if that is not known.
    fn settled(_: &Self::Outcome, _other: &Self) -> Option<Self::Outcome> {
        None
    }

    /// What comes of the first of several that were sent [as one](Item::joined), with this outcome, if the next one is `next`; `None` if the
    /// outcome is that of each of them.
    fn of_first(_: &Self::Outcome, _next: &Self) -> Option<Self::Outcome> {
        None
    }

    /// What a caller is told whose operation may have been sent and came to nothing.
    fn lost(reason: &str) -> Error {
        Error::unavailable(Self::OPERATION, Self::CHANGES).because(reason)
    }

    /// What a caller is told whose turn did not come in time.
    fn expired() -> Error {
        Self::unsent("it waited for its turn until the deadline")
    }

    /// What a caller is told whose operation was not sent.
    fn unsent(reason: &str) -> Error {
        Error::unavailable(Self::OPERATION, false).because(reason)
    }
}

/// What the smallest item adds to a batch beside its data: key, version, expiry, and an owner.
const ITEM_BYTES: usize = 128;

impl Item for SessionKey {
    type Outcome = Result<Option<Record>>;
    const CHANGES: bool = false;

    fn key(&self) -> &SessionKey {
        self
    }

    fn bytes(&self) -> usize {
        ITEM_BYTES
    }
}

impl Kind for SessionKey {
    type Answer = Option<Record>;
    const OPERATION: Operation = Operation::Read;

    async fn one<S: SessionStore>(self, store: &S) -> Self::Outcome {
        store.read(&self).await
    }

    /// Reads of one key share a slot. All of them were asked for before the batch is sent, so each sees all that its caller has written.
    async fn many<S: SessionStore>(items: &[Self], store: &S) -> Vec<Self::Outcome> {
        let mut places = HashMap::with_capacity(items.len());
        let mut keys = Vec::with_capacity(items.len());
        let slots: Vec<usize> = items
            .iter()
            .map(|key| {
                *places.entry(*key).or_insert_with(|| {
                    keys.push(*key);
                    keys.len() - 1
                })
            })
            .collect();
        let found = store.read_many(&keys).await;
        if keys.len() == items.len() || found.len() != keys.len() {
            return found;
        }
        slots.into_iter().map(|slot| found[slot].clone()).collect()
    }
}

impl Item for WriteItem {
    type Outcome = Result<WriteOutcome>;
    const CHANGES: bool = true;

    fn key(&self) -> &SessionKey {
        &self.key
    }

    fn bytes(&self) -> usize {
        ITEM_BYTES + self.write.data.len()
    }

    /// A write on the condition that the one before it has just taken effect: nobody can have seen what was there between the two, so it need
    /// not have been there.
    fn joined(&self, next: &Self, largest: usize) -> Option<Self> {
        // A write that may create the record is not sent with what others make of it: after a deletion, it could bring that back, too.
        let follows = matches!(self.when, When::Version(_)) && next.when == When::Version(self.write.version);
        // What the store would refuse has to be refused by itself.
        let fit = self.write.data.len() <= largest && next.write.data.len() <= largest;
        (follows && fit).then(|| {
            let mut write = next.write.clone();
            if write.owner == OwnerChange::Keep {
                write.owner = self.write.owner.clone();
            }
            Self { key: self.key, write, when: self.when }
        })
    }
}

impl Kind for WriteItem {
    type Answer = WriteOutcome;
    const OPERATION: Operation = Operation::Write;

    async fn one<S: SessionStore>(self, store: &S) -> Self::Outcome {
        store.write(&self.key, self.write, self.when).await
    }

    async fn many<S: SessionStore>(items: &[Self], store: &S) -> Vec<Self::Outcome> {
        store.write_many(items).await
    }

    fn tells_of_others(outcome: &Self::Outcome) -> bool {
        matches!(outcome, Ok(WriteOutcome::Conflict(_)))
    }

    /// A conflict says what is there, with which most of those who wait for this key conflict as well. So they are told without a trip each; or those who
    /// write a session that everybody writes would make as many trips for one success as there are of them.
    fn settled(outcome: &Self::Outcome, other: &Self) -> Option<Self::Outcome> {
        let Ok(WriteOutcome::Conflict(current)) = outcome else { return None };
        let version = current.as_ref().map(|record| record.version);
        // One that is there already was carried out by an attempt whose reply was lost: the store knows.
        let conflicts = version != Some(other.write.version)
            && match other.when {
                When::Version(expected) => version != Some(expected),
                When::Absent => version.is_some(),
                When::Any => false,
            };
        conflicts.then(|| Ok(WriteOutcome::Conflict(current.clone())))
    }

    fn of_first(outcome: &Self::Outcome, next: &Self) -> Option<Self::Outcome> {
        let Ok(WriteOutcome::Conflict(current)) = outcome else { return None };
        // The first one may be there already, by an attempt whose reply was lost. Its version is what the next one expects.
        let is_there = current.as_ref().is_some_and(|record| next.when == When::Version(record.version));
        Some(Ok(if is_there { WriteOutcome::Written } else { WriteOutcome::Conflict(current.clone()) }))
    }
}

impl Item for TouchItem {
    type Outcome = Result<bool>;
    const CHANGES: bool = true;

    fn key(&self) -> &SessionKey {
        &self.key
    }

    fn bytes(&self) -> usize {
        ITEM_BYTES
    }
}

impl Kind for TouchItem {
    type Answer = bool;
    const OPERATION: Operation = Operation::Touch;

    async fn one<S: SessionStore>(self, store: &S) -> Self::Outcome {
        store.touch(&self.key, self.ttl).await
    }

    async fn many<S: SessionStore>(items: &[Self], store: &S) -> Vec<Self::Outcome> {
        store.touch_many(items).await
    }
}

impl Item for DeleteItem {
    type Outcome = Result<DeleteOutcome>;
    const CHANGES: bool = true;

    fn key(&self) -> &SessionKey {
        &self.key
    }

    fn bytes(&self) -> usize {
        ITEM_BYTES
    }
}

impl Kind for DeleteItem {
    type Answer = DeleteOutcome;
    const OPERATION: Operation = Operation::Delete;

    async fn one<S: SessionStore>(self, store: &S) -> Self::Outcome {
        store.delete(&self.key, self.expected).await
    }

    async fn many<S: SessionStore>(items: &[Self], store: &S) -> Vec<Self::Outcome> {
        store.delete_many(items).await
    }
}
