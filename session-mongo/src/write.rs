use session_backend::chunk_ranges;
use session_core::{Error, Operation, Result, SessionKey, When, WriteItem, WriteOutcome};

use crate::{
    change::{Again, Change, Changed},
    core::{Core, MAX_BYTES, MAX_ITEMS},
    expressions::writing,
};

impl Core {
    pub(crate) async fn write_many(&self, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        let operation = Operation::Write;
        let _open = match self.begin(operation).await {
            Ok(open) => open,
            Err(error) => return items.iter().map(|_| Err(error.clone())).collect(),
        };
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
            outage = rest_of_batch(operation, &some);
            results.extend(some);
        }
        results
    }

    /// Writes of different keys.
    async fn write_part(
        &self,
        items: &[WriteItem],
        until: tokio::time::Instant,
    ) -> Vec<Result<WriteOutcome>> {
        let operation = Operation::Write;
        let checked: Vec<Result<()>> =
            items.iter().map(|item| self.check_len(operation, &item.write)).collect();
        let fitting = items.iter().zip(&checked).filter(|(_, checked)| checked.is_ok());
        let changes: Vec<Change> = fitting
            .map(|(item, _)| Change {
                key: item.key,
                stage: writing(&item.write, item.when),
                // A write without an expected version that is carried out late can undo a logout.
                again: match item.when {
                    When::Absent | When::Any => Again::Never,
                    When::Version(_) => Again::Always,
                },
            })
            .collect();
        let mut made = self.change(operation, &changes, until).await.into_iter();
        let outcomes: Vec<Result<Changed>> = checked
            .into_iter()
            .map(|checked| checked.and_then(|()| made.next().unwrap_or(Ok(Changed::RefusedInDoubt))))
            .collect();
        // The records that caused the refusals.
        let refused =
            |outcome: &Result<Changed>| matches!(outcome, Ok(Changed::Refused | Changed::RefusedInDoubt));
        let keys: Vec<SessionKey> = items
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| refused(outcome))
            .map(|(item, _)| item.key)
            .collect();
        let mut found = self.look(operation, &keys, until).await.into_iter();
        let mut outcome = |outcome: Result<Changed>| match outcome? {
            Changed::Done => Ok(WriteOutcome::Written),
            refused => {
                let found = found.next().unwrap_or(Ok(None))?;
                if refused == Changed::RefusedInDoubt {
                    return Err(Error::unavailable(operation, true)
                        .because("the reply was lost, and the session was changed since"));
                }
                Ok(WriteOutcome::Conflict(found))
            }
        };
        outcomes.into_iter().map(&mut outcome).collect()
    }
}

/// The error for the rest of a batch after one part got no answer: the rest would only wait, too.
pub(crate) fn rest_of_batch<T>(operation: Operation, some: &[Result<T>]) -> Option<Error> {
    let lost = some.iter().find_map(|result| result.as_ref().err().filter(|error| error.is_transient()))?;
    let rest = Error::unavailable(operation, false).because("an earlier part of the batch found no answer");
    Some(rest.with_source(lost.clone()))
}
