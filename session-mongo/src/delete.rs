use session_backend::chunk_ranges;
use session_core::{DeleteItem, DeleteOutcome, Error, Expected, Operation, Result, SessionKey, Version};
use tokio::time::Instant;

use crate::{
    change::{Again, Change, Changed},
    core::{Core, MAX_BYTES, MAX_ITEMS},
    expressions::deleting,
    write::rest_of_batch,
};

impl Core {
    pub(crate) async fn delete_many(&self, items: &[DeleteItem]) -> Vec<Result<DeleteOutcome>> {
        let operation = Operation::Delete;
        let _open = match self.begin(operation).await {
            Ok(open) => open,
            Err(error) => return items.iter().map(|_| Err(error.clone())).collect(),
        };
        self.delete_in_parts(operation, items, self.until()).await
    }

    pub(crate) async fn delete_in_parts(
        &self,
        operation: Operation,
        items: &[DeleteItem],
        until: Instant,
    ) -> Vec<Result<DeleteOutcome>> {
        let mut results: Vec<Result<DeleteOutcome>> = Vec::with_capacity(items.len());
        let mut outage: Option<Error> = None;
        for part in chunk_ranges(items.iter().map(|item| (item.key, 0)), MAX_ITEMS, MAX_BYTES) {
            let items = &items[part];
            if let Some(error) = &outage {
                results.extend(items.iter().map(|_| Err(error.clone())));
                continue;
            }
            let some = self.delete_part(operation, items, until).await;
            outage = rest_of_batch(operation, &some);
            results.extend(some);
        }
        results
    }

    /// Deletions of different keys.
    async fn delete_part(
        &self,
        operation: Operation,
        items: &[DeleteItem],
        until: Instant,
    ) -> Vec<Result<DeleteOutcome>> {
        let changes: Vec<Change> = items
            .iter()
            .map(|item| Change {
                key: item.key,
                stage: deleting(item.expected, &Version::random()),
                // A deletion without a version that is carried out late could end a session that
                // was created since.
                again: match item.expected {
                    Expected::Any => Again::Never,
                    Expected::Version(_) => Again::Always,
                },
            })
            .collect();
        let outcomes = self.change(operation, &changes, until).await;
        let unclear = |(item, outcome): &(&DeleteItem, &Result<Changed>)| {
            matches!(outcome, Ok(Changed::Refused | Changed::RefusedInDoubt))
                && item.expected != Expected::Any
        };
        let keys: Vec<SessionKey> =
            items.iter().zip(&outcomes).filter(unclear).map(|(item, _)| item.key).collect();
        let mut found = self.look(operation, &keys, until).await.into_iter();
        let outcome = |(item, outcome): (&DeleteItem, Result<Changed>)| match (outcome?, item.expected) {
            (Changed::Done, _) => Ok(DeleteOutcome::Deleted),
            (_, Expected::Any) => Ok(DeleteOutcome::Absent),
            (refused, Expected::Version(_)) => {
                let found = found.next().unwrap_or(Ok(None))?;
                if refused == Changed::RefusedInDoubt {
                    return Err(Error::unavailable(operation, true)
                        .because("the reply was lost, and the session was changed since"));
                }
                Ok(if found.is_some() { DeleteOutcome::Conflict } else { DeleteOutcome::Absent })
            }
        };
        items.iter().zip(outcomes).map(outcome).collect()
    }
}
