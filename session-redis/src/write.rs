use redis::{Cmd, Value};
use session_backend::chunk_ranges;
use session_core::{
    Error, ErrorKind, Operation, Owner, OwnerChange, Record, Result, When, Write, WriteItem, WriteOutcome,
};

use tokio::time::Instant;

use crate::{
    core::{Core, MAX_BYTES, MAX_ITEMS},
    errors::unexpected,
    namespace::Namespace,
    read::record,
    request::{Answer, Idempotency, Request, Route, SlotMigration, evalsha},
    scripts::WRITE,
};

/// The maximum number of rounds for a batch. Each round sends again the items whose index was not
/// named in the round before. They become fewer, unless others change their owners.
const ROUNDS: usize = 4;

/// Tells the script that no record may exist.
const ABSENT: &str = "A";

/// The same, and that no deletion of all the owner's sessions may be in progress.
const ABSENT_AND_UNFENCED: &str = "F";

impl Core {
    pub(crate) async fn write_many(&self, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        let until = self.until();
        let mut results: Vec<Result<WriteOutcome>> = Vec::with_capacity(items.len());
        let mut outage: Option<Error> = None;
        for part in
            chunk_ranges(items.iter().map(|item| (item.key, item.write.data.len())), MAX_ITEMS, MAX_BYTES)
        {
            let items = &items[part];
            if let Some(error) = &outage {
                results.extend(items.iter().map(|_| Err(error.clone())));
                continue;
            }
            let some = self.write_part(items, until).await;
            outage = rest_of_batch(Operation::Write, &some);
            results.extend(some);
        }
        results
    }

    /// Writes of different keys.
    async fn write_part(&self, items: &[WriteItem], until: Instant) -> Vec<Result<WriteOutcome>> {
        let mut results: Vec<Option<Result<WriteOutcome>>> = Vec::with_capacity(items.len());
        let mut left = Vec::with_capacity(items.len());
        for (place, item) in items.iter().enumerate() {
            let checked = self.check_len(Operation::Write, &item.write);
            if checked.is_ok() {
                left.push(place);
            }
            results.push(checked.err().map(Err));
        }
        self.watching.own.begin(items.iter().map(|item| (item.key, item.write.version)));
        for _ in 0..ROUNDS {
            left = self.write_round(items, left, &mut results, until).await;
            if left.is_empty() {
                break;
            }
        }
        let result = |(item, result): (&WriteItem, Option<Result<WriteOutcome>>)| {
            match (&result, &item.write.owner) {
                (Some(Ok(WriteOutcome::Written)), OwnerChange::Set(owner))
                | (Some(Ok(WriteOutcome::Conflict(Some(Record { owner: Some(owner), .. })))), _) => {
                    self.owners_seen.note(&item.key, owner);
                }
                _ => {}
            }
            if !matches!(result, Some(Ok(WriteOutcome::Written))) {
                self.watching.own.end(&item.key, item.write.version);
            }
            result.unwrap_or_else(|| Err(unexpected(Operation::Write, "there")))
        };
        items.iter().zip(results).map(result).collect()
    }

    /// Writes the items at these positions. Returns the positions of those that need an owner index
    /// that was not named.
    async fn write_round(
        &self,
        items: &[WriteItem],
        left: Vec<usize>,
        results: &mut [Option<Result<WriteOutcome>>],
        until: Instant,
    ) -> Vec<usize> {
        // A write without an expected version that is carried out late can undo a logout.
        let (sure, once): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|place| matches!(items[*place].when, When::Version(_)));
        let calls: Vec<(Vec<usize>, Request)> = if self.topology.is_cluster() {
            let alone = |place: usize, again| (vec![place], self.writing_alone(&items[place], again));
            let sure = sure.into_iter().map(|place| alone(place, Idempotency::Repeatable));
            sure.chain(once.into_iter().map(|place| alone(place, Idempotency::Once))).collect()
        } else {
            let together = |places: Vec<usize>, again| {
                if let [place] = places[..] {
                    return (places, self.writing_alone(&items[place], again));
                }
                let items: Vec<(&WriteItem, Option<Owner>)> = places
                    .iter()
                    .map(|place| (&items[*place], self.owners_seen.of(&items[*place].key)))
                    .collect();
                let command = writing(&self.namespace, &items, None, &SlotMigration::No, ABSENT);
                (places, Request::call(Route::Shard(0), &WRITE, again, command))
            };
            [(sure, Idempotency::Repeatable), (once, Idempotency::Once)]
                .into_iter()
                .filter(|(places, _)| !places.is_empty())
                .map(|(places, again)| together(places, again))
                .collect()
        };
        let (places, requests): (Vec<_>, Vec<_>) = calls.into_iter().unzip();
        let mut left = Vec::new();
        let answers = self.many(Operation::Write, requests, false, until).await;
        for (places, answer) in places.into_iter().zip(answers) {
            if let Ok(Answer { value: Value::Array(parts), .. }) = &answer
                && let [_time, parts @ ..] = &parts[..]
            {
                let keys = places.iter().map(|place| &items[*place].key);
                left.extend(self.owners_seen.left_alone(keys, parts).into_iter().map(|at| places[at]));
            }
            let outcomes = answer.and_then(|answer| outcomes(Operation::Write, answer, places.len()));
            match outcomes {
                Ok(outcomes) => {
                    for (place, outcome) in places.into_iter().zip(outcomes) {
                        results[place] = Some(outcome);
                    }
                }
                Err(error) => {
                    for place in places {
                        results[place] = Some(Err(error.clone()));
                    }
                }
            }
        }
        left
    }

    /// A write of one item that can be rebuilt with the owner index that it needs.
    fn writing_alone(&self, item: &WriteItem, again: Idempotency) -> Request {
        let (namespace, item, key) = (self.namespace.clone(), item.clone(), item.key);
        let (shard, seen) = (self.topology.index_shard(key.shard()), self.owners_seen.of(&key));
        let request = Request::movable(Route::Shard(key.shard()), &WRITE, again, move |moving| {
            writing(&namespace, &[(&item, seen.clone())], shard, moving, ABSENT)
        });
        request.about(key)
    }

    /// In Cluster: creates a record, but not while the sessions of its owner are being ended.
    pub(crate) async fn write_unless_fenced(&self, item: WriteItem) -> Result<WriteOutcome> {
        self.check_len(Operation::Write, &item.write)?;
        let (namespace, shard) = (self.namespace.clone(), item.key.shard());
        let request = Request::movable(Route::Shard(shard), &WRITE, Idempotency::Once, move |moving| {
            writing(&namespace, &[(&item, None)], Some(shard), moving, ABSENT_AND_UNFENCED)
        });
        let answer = self.one(Operation::Write, request, false).await?;
        outcomes(Operation::Write, answer, 1)?
            .pop()
            .unwrap_or_else(|| Err(unexpected(Operation::Write, "there")))
    }
}

/// A call of the write script, for items with their last known owners. While a slot is being
/// migrated, it is for one item.
fn writing(
    namespace: &Namespace,
    items: &[(&WriteItem, Option<Owner>)],
    shard: Option<u8>,
    moving: &SlotMigration,
    absent: &str,
) -> Cmd {
    let mut named = Vec::new();
    for (item, seen) in items {
        named.extend(indexes(namespace, shard, moving, seen.as_ref(), &item.write.owner));
    }
    if absent == ABSENT_AND_UNFENCED
        && let Some(index) = named.last()
    {
        named.push(Namespace::fence(index));
    }
    let mut command = evalsha(&WRITE, items.len() + named.len());
    for (item, _) in items {
        command.arg(namespace.session(&item.key));
    }
    command.arg(named).arg(&namespace.sessions).arg(namespace.owners(shard)).arg(told(moving));
    for (item, _) in items {
        match item.when {
            When::Any => command.arg(""),
            When::Absent => command.arg(absent),
            When::Version(version) => command.arg(version.as_bytes()),
        };
        content(&mut command, &item.write);
    }
    command
}

/// Appends the TTL, the owner change, the version and the data.
pub(crate) fn content(command: &mut Cmd, write: &Write) {
    command.arg(write.ttl.as_millis());
    match &write.owner {
        OwnerChange::Keep => command.arg("="),
        OwnerChange::Clear => command.arg("-"),
        OwnerChange::Set(owner) => command.arg(format!("+{owner}")),
    };
    command.arg(write.version.as_bytes()).arg(&write.data[..]);
}

/// The argument that tells a script whether its slot is being migrated.
pub(crate) fn told(moving: &SlotMigration) -> &'static str {
    if *moving == SlotMigration::No { "" } else { "1" }
}

/// The owner indexes that a script may need: that of the owner before, as far as it is known, and
/// that of the owner after.
pub(crate) fn indexes(
    namespace: &Namespace,
    shard: Option<u8>,
    moving: &SlotMigration,
    seen: Option<&Owner>,
    change: &OwnerChange,
) -> Vec<Vec<u8>> {
    let before = match moving {
        SlotMigration::Owner(before) => before,
        _ => seen.map_or(&[][..], |owner| owner.as_str().as_bytes()),
    };
    let mut named = Vec::new();
    if !before.is_empty() {
        named.push([namespace.owners(shard).as_bytes(), before].concat());
    }
    if let OwnerChange::Set(owner) = change
        && owner.as_str().as_bytes() != before
    {
        named.push(namespace.owner(shard, owner).into_bytes());
    }
    named
}

/// The outcomes in the reply of a script: it has the time, and then one part for each item.
pub(crate) fn outcomes(
    operation: Operation,
    answer: Answer,
    items: usize,
) -> Result<Vec<Result<WriteOutcome>>> {
    let Value::Array(parts) = answer.value else { return Err(unexpected(operation, "a list")) };
    if parts.len() != items + 1 {
        return Err(unexpected(operation, "one part for each item"));
    }
    let mut parts = parts.into_iter();
    let now = match parts.next() {
        Some(Value::Int(micros)) => u64::try_from(micros).ok(),
        _ => None,
    };
    let now = now.ok_or_else(|| unexpected(operation, "the time"))?;
    Ok(parts.map(|part| outcome(operation, part, now, answer.doubt)).collect())
}

fn outcome(operation: Operation, part: Value, now: u64, doubt: bool) -> Result<WriteOutcome> {
    match part {
        Value::Int(1) => Ok(WriteOutcome::Written),
        Value::Int(-1) => Err(wrong_type(operation)),
        part => {
            let current: Option<Record> = record(operation, part, now)?;
            if doubt {
                // The write may have been carried out, and then been followed by another.
                return Err(Error::unavailable(operation, true)
                    .because("the reply was lost, and somebody else has changed the session since"));
            }
            Ok(WriteOutcome::Conflict(current))
        }
    }
}

pub(crate) fn wrong_type(operation: Operation) -> Error {
    Error::new(ErrorKind::Corrupt, operation).because("there is a value of another type under its key")
}

/// The error for the rest of a batch after one part got no answer: the rest would only wait, too.
pub(crate) fn rest_of_batch<T>(operation: Operation, some: &[Result<T>]) -> Option<Error> {
    let lost = some.iter().find_map(|result| result.as_ref().err().filter(|error| error.is_transient()))?;
    let rest = Error::unavailable(operation, false).because("an earlier part of the batch found no answer");
    Some(rest.with_source(lost.clone()))
}
