use session_backend::chunk_ranges;
use session_core::{Error, Operation, Result, SessionKey, TouchItem};
use tokio::time::Instant;

use crate::{
    change::{Again, Change, Changed},
    core::{Core, MAX_BYTES, MAX_ITEMS},
    expressions::touching,
    write::rest_of_batch,
};

impl Core {
    pub(crate) async fn touch_many(&self, items: &[TouchItem]) -> Vec<Result<bool>> {
        let operation = Operation::Touch;
        let _open = match self.begin(operation).await {
            Ok(open) => open,
            Err(error) => return items.iter().map(|_| Err(error.clone())).collect(),
        };
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
            outage = rest_of_batch(operation, &some);
            results.extend(some);
        }
        results
    }

    /// Touches of different keys.
    async fn touch_part(&self, items: &[TouchItem], until: Instant) -> Vec<Result<bool>> {
        let operation = Operation::Touch;
        let change =
            |item: &TouchItem| Change { key: item.key, stage: touching(item.ttl), again: Again::ByNumber };
        let changes: Vec<Change> = items.iter().map(change).collect();
        let outcomes = self.change(operation, &changes, until).await;
        let refused =
            |outcome: &Result<Changed>| outcome.as_ref().is_ok_and(|changed| *changed != Changed::Done);
        let keys: Vec<SessionKey> = items
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| refused(outcome))
            .map(|(item, _)| item.key)
            .collect();
        // Tells a missing session from a document that is not a record.
        let mut found = self.look(operation, &keys, until).await.into_iter();
        outcomes
            .into_iter()
            .map(|outcome| match outcome? {
                Changed::Done => Ok(true),
                _ => found.next().unwrap_or(Ok(None)).map(|_| false),
            })
            .collect()
    }
}
