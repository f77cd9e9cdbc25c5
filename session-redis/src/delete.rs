use redis::Cmd;
use session_backend::chunk_ranges;
use session_core::{DeleteItem, DeleteOutcome, Error, Expected, Operation, Owner, Result};
use tokio::time::Instant;

use crate::{
    core::{Core, MAX_BYTES, MAX_ITEMS},
    namespace::Namespace,
    request::{Idempotency, Request, Route, SlotMigration, evalsha},
    scripts::DELETE,
    touch::codes,
    write::{rest_of_batch, told},
};

impl Core {
    pub(crate) async fn delete_many(&self, items: &[DeleteItem]) -> Vec<Result<DeleteOutcome>> {
        let until = self.until();
        let mut results: Vec<Result<DeleteOutcome>> = Vec::with_capacity(items.len());
        let mut outage: Option<Error> = None;
        for part in chunk_ranges(items.iter().map(|item| (item.key, 0)), MAX_ITEMS, MAX_BYTES) {
            let items = &items[part];
            if let Some(error) = &outage {
                results.extend(items.iter().map(|_| Err(error.clone())));
                continue;
            }
            let some = self.delete_part(items, until).await;
            outage = rest_of_batch(Operation::Delete, &some);
            results.extend(some);
        }
        results
    }

    async fn delete_part(&self, items: &[DeleteItem], until: Instant) -> Vec<Result<DeleteOutcome>> {
        let requests = if self.topology.is_cluster() {
            items.iter().map(|item| self.deleting_in_cluster(*item)).collect()
        } else {
            let again = if items.iter().all(|item| again(item) == Idempotency::Repeatable) {
                Idempotency::Repeatable
            } else {
                Idempotency::Once
            };
            let seen: Vec<_> = items.iter().map(|item| (*item, self.owners_seen.of(&item.key))).collect();
            let command = deleting(&self.namespace, &seen, None, &SlotMigration::No);
            vec![Request::call(Route::Shard(0), &DELETE, again, command)]
        };
        let answers = self.many(Operation::Delete, requests, false, until).await;
        let codes =
            codes(Operation::Delete, items.len(), answers.into_iter().map(|answer| Ok(answer?.value)));
        codes
            .into_iter()
            .map(|code| {
                Ok(match code? {
                    1 => DeleteOutcome::Deleted,
                    0 => DeleteOutcome::Absent,
                    _ => DeleteOutcome::Conflict,
                })
            })
            .collect()
    }

    fn deleting_in_cluster(&self, item: DeleteItem) -> Request {
        let namespace = self.namespace.clone();
        let (shard, seen) = (item.key.shard(), self.owners_seen.of(&item.key));
        Request::movable(Route::Shard(shard), &DELETE, again(&item), move |moving| {
            // While the slot is being migrated, the index may be on another node. The member then
            // stays in it for a while.
            let seen = if *moving == SlotMigration::No { seen.clone() } else { None };
            deleting(&namespace, &[(item, seen)], Some(shard), moving)
        })
    }
}

/// A delete without a version that is carried out late could end a session that was created since.
fn again(item: &DeleteItem) -> Idempotency {
    match item.expected {
        Expected::Any => Idempotency::Once,
        Expected::Version(_) => Idempotency::Repeatable,
    }
}

fn deleting(
    namespace: &Namespace,
    items: &[(DeleteItem, Option<Owner>)],
    shard: Option<u8>,
    moving: &SlotMigration,
) -> Cmd {
    let named: Vec<_> =
        items.iter().filter_map(|(_, seen)| Some(namespace.owner(shard, seen.as_ref()?))).collect();
    let mut command = evalsha(&DELETE, items.len() + named.len());
    for (item, _) in items {
        command.arg(namespace.session(&item.key));
    }
    command.arg(named).arg(&namespace.sessions).arg(namespace.owners(shard)).arg(told(moving));
    for (item, _) in items {
        match &item.expected {
            Expected::Any => command.arg(""),
            Expected::Version(version) => command.arg(version.as_bytes()),
        };
    }
    command
}
