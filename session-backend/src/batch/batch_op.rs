use std::{collections::HashMap, future::Future};

use session_core::{
    DeleteItem, DeleteOutcome, Error, Operation, OwnerChange, Record, Result, SessionKey, TouchItem, When,
    WriteItem, WriteOutcome,
};

use crate::Backend;

/// One kind of operation that is sent in batches, and the rules of its queue.
pub(crate) trait BatchOp: Clone + Send + Sync + 'static {
    /// What the caller is told on success.
    type Answer: Clone + Send + 'static;

    const OPERATION: Operation;

    /// Returns the key that it is about.
    fn key(&self) -> &SessionKey;

    /// Returns about how many bytes it adds to a batch.
    fn bytes(&self) -> usize {
        ITEM_BYTES
    }

    /// Sends a batch, and returns an outcome for each operation.
    fn send<B: Backend>(ops: &[Self], backend: &B) -> impl Future<Output = Vec<Result<Self::Answer>>> + Send;

    /// Returns one operation with the effect of this one followed by `next`, which has the same
    /// key, or `None` if there is none. `max_data_len` is the longest data that the backend takes.
    fn joined(&self, _next: &Self, _max_data_len: usize) -> Option<Self> {
        None
    }

    /// Returns true if an outcome can decide other operations on the same key.
    fn decides_others(_: &Result<Self::Answer>) -> bool {
        false
    }

    /// Returns what `other` comes to if it is carried out at the moment at which an operation on
    /// the same key had this outcome, or `None` if that is not known.
    fn decided(_: &Result<Self::Answer>, _other: &Self) -> Option<Result<Self::Answer>> {
        None
    }

    /// Returns the outcome of the first of several [joined](Self::joined) operations that had
    /// `outcome` together, where `next` is the second one, or `None` if each of them has `outcome`.
    fn outcome_of_first(_: &Result<Self::Answer>, _next: &Self) -> Option<Result<Self::Answer>> {
        None
    }

    /// Returns true if it changes records. Two changes of one key are never in flight at the same
    /// time.
    fn is_change() -> bool {
        Self::OPERATION.is_change()
    }

    /// The error for an operation that may have been sent, and whose outcome is not known.
    fn lost(reason: &str) -> Error {
        Error::unavailable(Self::OPERATION, Self::is_change()).because(reason)
    }

    /// The error for an operation that was still queued at its deadline.
    fn expired() -> Error {
        Self::unsent("it waited for its turn until the deadline")
    }

    /// The error for an operation that was not sent.
    fn unsent(reason: &str) -> Error {
        Error::unavailable(Self::OPERATION, false).because(reason)
    }
}

/// What an item adds to a batch beside its data: key, version, expiry and an owner.
const ITEM_BYTES: usize = 128;

impl BatchOp for SessionKey {
    type Answer = Option<Record>;
    const OPERATION: Operation = Operation::Read;

    fn key(&self) -> &SessionKey {
        self
    }

    /// Reads of one key share an item. All of them were submitted before the batch is sent, so each
    /// of them sees what its caller has written.
    async fn send<B: Backend>(keys: &[Self], backend: &B) -> Vec<Result<Option<Record>>> {
        if keys.len() == 1 {
            return backend.read_many(keys).await;
        }
        let mut positions = HashMap::with_capacity(keys.len());
        let mut distinct = Vec::with_capacity(keys.len());
        let shared: Vec<usize> = keys
            .iter()
            .map(|key| {
                *positions.entry(*key).or_insert_with(|| {
                    distinct.push(*key);
                    distinct.len() - 1
                })
            })
            .collect();
        let found = backend.read_many(&distinct).await;
        if distinct.len() == keys.len() || found.len() != distinct.len() {
            return found;
        }
        shared.into_iter().map(|position| found[position].clone()).collect()
    }
}

impl BatchOp for WriteItem {
    type Answer = WriteOutcome;
    const OPERATION: Operation = Operation::Write;

    fn key(&self) -> &SessionKey {
        &self.key
    }

    fn bytes(&self) -> usize {
        ITEM_BYTES + self.write.data.len()
    }

    async fn send<B: Backend>(items: &[Self], backend: &B) -> Vec<Result<WriteOutcome>> {
        backend.write_many(items).await
    }

    /// Joins a write with the one whose condition is its version. No reader can have seen the record
    /// between the two, so the first one need not be stored.
    fn joined(&self, next: &Self, max_data_len: usize) -> Option<Self> {
        // A write that can create the record is sent alone. Delivered again after a deletion, the joined
        // write could bring back the changes of all of them.
        let follows = matches!(self.when, When::Version(_)) && next.when == When::Version(self.write.version);
        // A write that the backend refuses must be refused by itself.
        let fit = self.write.data.len() <= max_data_len && next.write.data.len() <= max_data_len;
        (follows && fit).then(|| {
            let mut write = next.write.clone();
            if write.owner == OwnerChange::Keep {
                write.owner = self.write.owner.clone();
            }
            Self { key: self.key, write, when: self.when }
        })
    }

    fn decides_others(outcome: &Result<WriteOutcome>) -> bool {
        matches!(outcome, Ok(WriteOutcome::Conflict(_)))
    }

    /// A conflict carries the current record, with which most queued writes of the key conflict as
    /// well. Answering them without a round trip each keeps a session that many tasks write from
    /// costing as many round trips for each success as there are tasks.
    fn decided(outcome: &Result<WriteOutcome>, other: &Self) -> Option<Result<WriteOutcome>> {
        let Ok(WriteOutcome::Conflict(current)) = outcome else { return None };
        let version = current.as_ref().map(|record| record.version);
        // If the record has the version of `other`, an attempt whose reply was lost has written it.
        // Only the backend can tell.
        let conflicts = version != Some(other.write.version)
            && match other.when {
                When::Version(expected) => version != Some(expected),
                When::Absent => version.is_some(),
                When::Any => false,
            };
        conflicts.then(|| Ok(WriteOutcome::Conflict(current.clone())))
    }

    fn outcome_of_first(outcome: &Result<WriteOutcome>, next: &Self) -> Option<Result<WriteOutcome>> {
        let Ok(WriteOutcome::Conflict(current)) = outcome else { return None };
        // The first write may have been stored by an attempt whose reply was lost. The next one
        // expects its version.
        let is_stored = current.as_ref().is_some_and(|record| next.when == When::Version(record.version));
        Some(Ok(if is_stored { WriteOutcome::Written } else { WriteOutcome::Conflict(current.clone()) }))
    }
}

impl BatchOp for TouchItem {
    type Answer = bool;
    const OPERATION: Operation = Operation::Touch;

    fn key(&self) -> &SessionKey {
        &self.key
    }

    async fn send<B: Backend>(items: &[Self], backend: &B) -> Vec<Result<bool>> {
        backend.touch_many(items).await
    }
}

impl BatchOp for DeleteItem {
    type Answer = DeleteOutcome;
    const OPERATION: Operation = Operation::Delete;

    fn key(&self) -> &SessionKey {
        &self.key
    }

    async fn send<B: Backend>(items: &[Self], backend: &B) -> Vec<Result<DeleteOutcome>> {
        backend.delete_many(items).await
    }
}
