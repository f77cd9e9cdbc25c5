use std::{collections::HashSet, sync::Arc};

use session_backend::only;
use session_core::{
    DeleteItem, DeleteOutcome, Error, ErrorKind, Expected, Operation, Record, Result, SessionKey, TouchItem,
    WriteItem, WriteOutcome,
};

use super::{
    core::{Core, Job, Parts},
    dialect::Dialect,
    jobs::{Delete, Read, Touch, Write},
    record::Found,
};
use crate::chunk::{MAX_ITEMS, in_order, parts};

impl<D: Dialect> Core<D> {
    pub(crate) async fn read_many(self: &Arc<Self>, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        let mut results = Vec::with_capacity(keys.len());
        let mut outage: Option<Error> = None;
        for part in keys.chunks(MAX_ITEMS) {
            let found = match &outage {
                Some(error) => Err(error.clone()),
                None => self.run(Read(part.to_vec())).await,
            };
            match found {
                // Only the records on the damaged pages are affected, so each key is read by
                // itself.
                Err(error) if error.kind() == ErrorKind::Corrupt && part.len() > 1 => {
                    for key in part {
                        let found = self.run(Read(vec![*key])).await;
                        results.push(found.and_then(|mut found| found.remove(key).transpose()));
                    }
                }
                Ok(found) => results.extend(taken(found, part)),
                Err(error) => {
                    results.extend(part.iter().map(|_| Err(error.clone())));
                    outage = error.is_transient().then_some(error);
                }
            }
        }
        results
    }

    pub(crate) async fn write_many(self: &Arc<Self>, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        let mut outcomes = Vec::with_capacity(items.len());
        let mut good = Vec::with_capacity(items.len());
        for (number, item) in items.iter().enumerate() {
            match self.check_len(Operation::Write, &item.write) {
                Ok(()) => good.push((number, item.key, item.write.data.len())),
                Err(bad) => outcomes.push((number, Err(bad))),
            }
        }
        let part = |numbers: &[usize]| Write(numbers.iter().map(|&number| items[number].clone()).collect());
        let keys = || items.iter().map(|item| item.key);
        self.changing(keys());
        outcomes.extend(self.in_parts(parts(good, self.batch_bytes), part).await);
        self.changed(keys());
        in_order(outcomes)
    }

    pub(crate) async fn touch_many(self: &Arc<Self>, items: &[TouchItem]) -> Vec<Result<bool>> {
        let parts =
            parts(items.iter().enumerate().map(|(number, item)| (number, item.key, 0)), self.batch_bytes);
        let part = |numbers: &[usize]| Touch(numbers.iter().map(|&number| items[number]).collect());
        let keys = || items.iter().map(|item| item.key);
        self.changing(keys());
        let outcomes = in_order(self.in_parts(parts, part).await);
        self.changed(keys());
        outcomes
    }

    pub(crate) async fn delete_many(self: &Arc<Self>, items: &[DeleteItem]) -> Vec<Result<DeleteOutcome>> {
        let parts =
            parts(items.iter().enumerate().map(|(number, item)| (number, item.key, 0)), self.batch_bytes);
        let part = |numbers: &[usize]| Delete(numbers.iter().map(|&number| items[number]).collect());
        let keys = || items.iter().map(|item| item.key);
        self.changing(keys());
        let outcomes = in_order(self.in_parts(parts, part).await);
        self.changed(keys());
        outcomes
    }

    /// Runs a batch part by part. After a part without an answer, the rest is not tried, because it
    /// would only wait as well. A part that was refused is run item by item, so that one bad item
    /// does not fail the others.
    async fn in_parts<T, J>(
        self: &Arc<Self>,
        parts: Vec<Vec<usize>>,
        part: impl Fn(&[usize]) -> J,
    ) -> Parts<T>
    where
        J: Job<D, Outcome = Vec<Result<T>>>,
    {
        let mut results = Vec::with_capacity(parts.iter().map(Vec::len).sum());
        let mut outage: Option<Error> = None;
        for numbers in parts {
            if let Some(error) = &outage {
                results.extend(numbers.into_iter().map(|number| (number, Err(error.clone()))));
                continue;
            }
            match self.run(part(&numbers)).await {
                Ok(outcomes) => results.extend(numbers.into_iter().zip(outcomes)),
                Err(error) if !error.is_transient() && numbers.len() > 1 => {
                    for number in numbers {
                        let outcomes = self.run(part(&[number])).await;
                        results.push((number, outcomes.and_then(|outcomes| only(J::OPERATION, outcomes))));
                    }
                }
                Err(error) => {
                    if error.is_transient() {
                        let unsent = Error::unavailable(J::OPERATION, false);
                        let reason = "an earlier part of the batch found no answer";
                        outage = Some(unsent.because(reason).with_source(error.clone()));
                    }
                    results.extend(numbers.into_iter().map(|number| (number, Err(error.clone()))));
                }
            }
        }
        results
    }
}

/// The result for each key. A key may occur twice.
fn taken(mut found: Found, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
    let distinct: HashSet<&SessionKey> = keys.iter().collect();
    if distinct.len() == keys.len() {
        return keys.iter().map(|key| found.remove(key).transpose()).collect();
    }
    keys.iter().map(|key| found.get(key).cloned().transpose()).collect()
}

/// Returns true if a delete that removed nothing needs no second read: without an expected version,
/// there was no record.
pub(crate) fn is_clear(item: &DeleteItem) -> bool {
    item.expected == Expected::Any
}
