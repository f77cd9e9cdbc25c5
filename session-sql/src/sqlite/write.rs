use std::{collections::HashSet, sync::Arc};

use session_core::{Event, Operation, OwnerChange, Result, SessionKey, When, WriteItem, WriteOutcome};
use sqlx::SqlStr;

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

/// The number of parameters of one item in the general statement, and in the one for renewals.
const COLUMNS: usize = 8;
const RENEWAL_COLUMNS: usize = 5;

/// Writes of different keys, ready to be sent. No other write can run while they are sent.
struct WritePart {
    items: Vec<WriteItem>,
    sql: SqlStr,
    fields: Fields,
}

impl Core {
    pub(crate) async fn write_many(self: &Arc<Self>, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        let mut outcomes = Vec::with_capacity(items.len());
        let mut good = Vec::with_capacity(items.len());
        for (number, item) in items.iter().enumerate() {
            match self.check_len(Operation::Write, &item.write) {
                Ok(()) => good.push((number, item.key, item.write.data.len())),
                Err(bad) => outcomes.push((number, Err(bad))),
            }
        }
        // The order within a part does not matter, because all keys are different.
        let is_renewal = |number: &usize| is_renewal(&items[*number]);
        let parts = parts(good, MAX_BYTES)
            .into_iter()
            .flat_map(|part| <[Vec<usize>; 2]>::from(part.into_iter().partition(is_renewal)))
            .filter(|part| !part.is_empty())
            .collect();
        let part = |numbers: &[usize]| {
            self.write_part(numbers.iter().map(|&number| items[number].clone()).collect())
        };
        outcomes.extend(self.in_parts(parts, part).await);
        in_order(outcomes)
    }

    /// The statement for items that are all renewals, or none of them.
    fn write_part(&self, items: Vec<WriteItem>) -> WritePart {
        let size = padded(items.len());
        let renewals = items.iter().all(is_renewal);
        let columns = if renewals { RENEWAL_COLUMNS } else { COLUMNS };
        let mut fields = Fields::with_capacity(size * columns);
        for item in &items {
            fields.key(&item.key);
            if renewals {
                fields.renewal(&item.write, item.when);
            } else {
                fields.content(&item.write);
                fields.when(item.when);
            }
        }
        fields.nulls((size - items.len()) * columns);
        let sql = if renewals { self.statements.renew(size) } else { self.statements.write(size) };
        WritePart { items, sql, fields }
    }
}

/// Returns true if the item saves an existing session and keeps its owner, as most writes do. Their
/// own statement takes two thirds of the time.
fn is_renewal(item: &WriteItem) -> bool {
    matches!(item.when, When::Version(_)) && item.write.owner == OwnerChange::Keep
}

impl Change for WritePart {
    type Outcome = Vec<Result<WriteOutcome>>;
    const OPERATION: Operation = Operation::Write;

    fn items(&self) -> usize {
        self.items.len()
    }

    async fn make(self, core: &Core, lease: &mut Lease) -> Result<Self::Outcome> {
        let Self { items, sql, fields } = self;
        let rows = lease.rows(Operation::Write, sql, fields).await?;
        let written: HashSet<SessionKey> =
            rows.iter().map(|row| record::key(Operation::Write, row)).collect::<Result<_>>()?;
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
                // An earlier delivery of this write.
                Some(record) if record.version == item.write.version => Ok(WriteOutcome::Written),
                other => Ok(WriteOutcome::Conflict(other)),
            }
        };
        Ok(items.iter().map(outcome).collect())
    }
}
