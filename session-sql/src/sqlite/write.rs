use std::{collections::HashSet, ops::Range, sync::Arc};

use session_core::{Event, Operation, Result, SessionKey, WriteItem, WriteOutcome};

use super::{
    connections::Lease,
    core::{Change, Core},
    fields::Fields,
    row,
};
use crate::chunk::{padded, parts};

/// How many parameters of the statement an item has.
const COLUMNS: usize = 8;

/// Writes of different keys.
struct WritePart(Vec<WriteItem>);

impl Core {
    pub(crate) async fn write_many(self: &Arc<Self>, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        let checked: Vec<Result<()>> =
            items.iter().map(|item| self.check_len(Operation::Write, &item.write)).collect();
        let good: Vec<&WriteItem> =
            items.iter().zip(&checked).filter(|(_, check)| check.is_ok()).map(|(item, _)| item).collect();
        let parts = parts(good.iter().map(|item| (item.key, item.write.data.len())));
        let part = |range: Range<usize>| WritePart(good[range].iter().map(|item| (*item).clone()).collect());
        let mut outcomes = self.in_parts(parts, part).await.into_iter();
        // The outcomes of the good ones fill the places between the bad ones.
        checked
            .into_iter()
            .filter_map(|check| check.map_or_else(|bad| Some(Err(bad)), |()| outcomes.next()))
            .collect()
    }
}

impl Change for WritePart {
    type Outcome = Vec<Result<WriteOutcome>>;
    const OPERATION: Operation = Operation::Write;

    async fn make(self, core: &Core, lease: &mut Lease) -> Result<Self::Outcome> {
        let items = self.0;
        let size = padded(items.len());
        let mut fields = Fields::with_capacity(size * COLUMNS);
        for item in &items {
            fields.key(&item.key);
            fields.content(&item.write);
            fields.when(item.when);
        }
        fields.nulls((size - items.len()) * COLUMNS);
        let rows = lease.rows(Operation::Write, core.statements.write(size), fields).await?;
        let written: HashSet<SessionKey> =
            rows.iter().map(|row| row::key(Operation::Write, row)).collect::<Result<_>>()?;
        for item in items.iter().filter(|item| written.contains(&item.key)) {
            core.shared.events.tell(Event::Changed { key: item.key, version: Some(item.write.version) });
        }
        let others: Vec<SessionKey> =
            items.iter().map(|item| item.key).filter(|key| !written.contains(key)).collect();
        let found = core.look(lease, Operation::Write, &others).await;
        let outcome = |item: &WriteItem| {
            if written.contains(&item.key) {
                return Ok(WriteOutcome::Written);
            }
            match found.as_ref().map_err(Clone::clone)?.get(&item.key).cloned().transpose()? {
                // It was delivered before.
                Some(record) if record.version == item.write.version => Ok(WriteOutcome::Written),
                other => Ok(WriteOutcome::Conflict(other)),
            }
        };
        Ok(items.iter().map(outcome).collect())
    }
}
