use std::{collections::HashSet, sync::Arc};

use session_core::{DeleteItem, DeleteOutcome, Event, Expected, Operation, Result, SessionKey};

use super::{
    binds::Fields,
    connections::Lease,
    core::{Change, Core},
    record,
};
use crate::{
    chunk::{MAX_BYTES, in_order, parts},
    statement_sizes::padded,
};

/// The number of parameters of one item.
const COLUMNS: usize = 2;

/// Deletes of different keys.
struct DeletePart(Vec<DeleteItem>);

impl Core {
    pub(crate) async fn delete_many(self: &Arc<Self>, items: &[DeleteItem]) -> Vec<Result<DeleteOutcome>> {
        let parts = parts(items.iter().enumerate().map(|(number, item)| (number, item.key, 0)), MAX_BYTES);
        let part = |numbers: &[usize]| DeletePart(numbers.iter().map(|&number| items[number]).collect());
        in_order(self.in_parts(parts, part).await)
    }
}

impl Change for DeletePart {
    type Outcome = Vec<Result<DeleteOutcome>>;
    const OPERATION: Operation = Operation::Delete;

    fn items(&self) -> usize {
        self.0.len()
    }

    async fn make(self, core: &Core, lease: &mut Lease) -> Result<Self::Outcome> {
        let items = self.0;
        let size = padded(items.len());
        let mut fields = Fields::with_capacity(size * COLUMNS);
        for item in &items {
            fields.key(&item.key);
            match &item.expected {
                Expected::Any => fields.version(None),
                Expected::Version(version) => fields.version(Some(version)),
            }
        }
        fields.nulls((size - items.len()) * COLUMNS);
        let rows = lease.rows(Operation::Delete, core.statements.delete(size), fields).await?;
        let deleted: HashSet<SessionKey> =
            rows.iter().map(|row| record::key(Operation::Delete, row)).collect::<Result<_>>()?;
        for key in &deleted {
            core.shared.events.tell(Event::Deleted { key: *key });
        }
        // Without an expected version, there was no record to delete.
        let unclear = |item: &&DeleteItem| !deleted.contains(&item.key) && item.expected != Expected::Any;
        let unclear: Vec<SessionKey> = items.iter().filter(unclear).map(|item| item.key).collect();
        let found = core.look(lease, Operation::Delete, &unclear).await;
        let outcome = |item: &DeleteItem| {
            if deleted.contains(&item.key) {
                return Ok(DeleteOutcome::Deleted);
            }
            if item.expected == Expected::Any {
                return Ok(DeleteOutcome::Absent);
            }
            let found = found.as_ref().map_err(Clone::clone)?;
            Ok(match found.get(&item.key).cloned().transpose()? {
                Some(_other) => DeleteOutcome::Conflict,
                None => DeleteOutcome::Absent,
            })
        };
        Ok(items.iter().map(outcome).collect())
    }
}
