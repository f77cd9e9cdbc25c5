use redis::Cmd;
use session_backend::chunk_ranges;
use session_core::{DeleteItem, DeleteOutcome, Error, Expected, Operation, Owner, Result};
use tokio::time::Instant;

use crate::{
    core::{Core, MAX_BYTES, MAX_ITEMS},
    namespace::Namespace,
    request::{Again, Moving, Request, To, evalsha},
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
            let again = if items.iter().all(|item| again(item) == Again::Change) {
                Again::Change
            } else {
                Again::Never
            };
            let seen: Vec<_> = items.iter().map(|item| (*item, self.owners_seen.of(&item.key))).collect();
            let command = deleting(&self.namespace, &seen, None, &Moving::No);
            vec![Request::call(To::Shard(0), &DELETE, again, command)]
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
        Request::movable(To::Shard(shard), &DELETE, again(&item), move |moving| {
            // The index may be elsewhere while the slot moves, and then the member stays for a
            // while.
            let seen = if *moving == Moving::No { seen.clone() } else { None };
            deleting(&namespace, &[(item, seen)], Some(shard), moving)
        })
    }
}

/// Without a version, a delete that is carried out late could end a session that was created since.
fn again(item: &DeleteItem) -> Again {
    match item.expected {
        Expected::Any => Again::Never,
        Expected::Version(_) => Again::Change,
    }
}

fn deleting(
    namespace: &Namespace,
    items: &[(DeleteItem, Option<Owner>)],
    shard: Option<u8>,
    moving: &Moving,
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
