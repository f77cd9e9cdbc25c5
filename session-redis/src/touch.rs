use redis::{Cmd, Value};
use session_backend::chunk_ranges;
use session_core::{Error, ErrorKind, Operation, Owner, OwnerChange, Result, TouchItem};
use tokio::time::Instant;

use crate::{
    core::{Core, MAX_BYTES, MAX_ITEMS},
    errors::{refused, unexpected},
    namespace::Namespace,
    request::{Answer, Idempotency, Request, Route, SlotMigration, evalsha},
    scripts::TOUCH,
    write::{indexes, rest_of_batch, told},
};

/// A touch leaves no version by which a retry could recognise it. A retry could prolong a session
/// whose end another touch has brought forward since, so a touch is never sent again.
impl Core {
    pub(crate) async fn touch_many(&self, items: &[TouchItem]) -> Vec<Result<bool>> {
        let until = self.until();
        let mut results: Vec<Result<bool>> = Vec::with_capacity(items.len());
        let mut outage: Option<Error> = None;
        for part in chunk_ranges(items.iter().map(|item| (item.key, 0)), MAX_ITEMS, MAX_BYTES) {
            let items = &items[part];
            if let Some(error) = &outage {
                results.extend(items.iter().map(|_| Err(error.clone())));
                continue;
            }
            let some = self.touch_part(items, until).await;
            outage = rest_of_batch(Operation::Touch, &some);
            results.extend(some);
        }
        results
    }

    async fn touch_part(&self, items: &[TouchItem], until: Instant) -> Vec<Result<bool>> {
        let requests = if self.topology.is_cluster() || items.len() == 1 {
            items.iter().map(|item| self.touching_alone(*item)).collect()
        } else {
            let seen: Vec<_> = items.iter().map(|item| (*item, self.owners_seen.of(&item.key))).collect();
            let command = touching(&self.namespace, &seen, None, &SlotMigration::No);
            vec![Request::call(Route::Shard(0), &TOUCH, Idempotency::Once, command)]
        };
        let alone = requests.len() == items.len();
        let answers = self.many(Operation::Touch, requests, false, until).await;
        let mut left = Vec::new();
        if let [Ok(Answer { value: Value::Array(parts), .. })] = &answers[..]
            && !alone
        {
            left = self.owners_seen.left_alone(items.iter().map(|item| &item.key), parts);
        }
        let codes = codes(Operation::Touch, items.len(), answers.into_iter().map(|answer| Ok(answer?.value)));
        let mut results: Vec<Result<bool>> = codes.into_iter().map(|code| Ok(code? == 1)).collect();
        // The items whose index was not named: each in a request of its own, which is rebuilt as
        // long as their owners change.
        let requests = left.iter().map(|place| self.touching_alone(items[*place])).collect();
        for (place, answer) in left.iter().zip(self.many(Operation::Touch, requests, false, until).await) {
            let code =
                crate::touch::codes(Operation::Touch, 1, [answer.map(|answer| answer.value)].into_iter());
            results[*place] = code.into_iter().next().unwrap_or(Ok(0)).map(|code| code == 1);
        }
        results
    }

    /// A touch of one session that can be rebuilt with the owner index that it needs.
    fn touching_alone(&self, item: TouchItem) -> Request {
        let namespace = self.namespace.clone();
        let (shard, seen) = (self.topology.index_shard(item.key.shard()), self.owners_seen.of(&item.key));
        let request =
            Request::movable(Route::Shard(item.key.shard()), &TOUCH, Idempotency::Once, move |moving| {
                touching(&namespace, &[(item, seen.clone())], shard, moving)
            });
        request.about(item.key)
    }
}

fn touching(
    namespace: &Namespace,
    items: &[(TouchItem, Option<Owner>)],
    shard: Option<u8>,
    moving: &SlotMigration,
) -> Cmd {
    let mut named = Vec::new();
    for (_, seen) in items {
        named.extend(indexes(namespace, shard, moving, seen.as_ref(), &OwnerChange::Keep));
    }
    let mut command = evalsha(&TOUCH, items.len() + named.len());
    for (item, _) in items {
        command.arg(namespace.session(&item.key));
    }
    command.arg(named).arg(&namespace.sessions).arg(namespace.owners(shard)).arg(told(moving));
    for (item, _) in items {
        command.arg(item.ttl.as_millis());
    }
    command
}

/// The numbers in the replies of a script for `items`. It was called for all of them together, or
/// for each by itself.
pub(crate) fn codes(
    operation: Operation,
    items: usize,
    answers: impl ExactSizeIterator<Item = Result<Value>>,
) -> Vec<Result<i64>> {
    let each = if answers.len() == items { 1 } else { items };
    let mut codes = Vec::with_capacity(items);
    for answer in answers {
        match answer {
            Ok(Value::Array(parts)) if parts.len() == each => {
                codes.extend(parts.into_iter().map(|part| code(operation, part)));
            }
            Ok(_) => codes.extend((0..each).map(|_| Err(unexpected(operation, "one part for each item")))),
            Err(error) => codes.extend((0..each).map(|_| Err(error.clone()))),
        }
    }
    codes
}

fn code(operation: Operation, part: Value) -> Result<i64> {
    match part {
        Value::Int(-1) => {
            Err(Error::new(ErrorKind::Corrupt, operation).because("there is no record under its key"))
        }
        Value::Int(-2) => {
            let reason = "it has a format of a later release";
            Err(Error::new(ErrorKind::Unsupported, operation).because(reason))
        }
        Value::Int(code) => Ok(code),
        Value::ServerError(error) => Err(refused(operation, &error)),
        _ => Err(unexpected(operation, "a number")),
    }
}
