use std::{collections::HashMap, sync::Arc};

use session_core::{Event, Operation, Result, SessionKey, TouchItem, Version};

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

/// Touches of different keys.
struct TouchPart(Vec<TouchItem>);

impl Core {
    pub(crate) async fn touch_many(self: &Arc<Self>, items: &[TouchItem]) -> Vec<Result<bool>> {
        let parts = parts(items.iter().enumerate().map(|(number, item)| (number, item.key, 0)), MAX_BYTES);
        let part = |numbers: &[usize]| TouchPart(numbers.iter().map(|&number| items[number]).collect());
        in_order(self.in_parts(parts, part).await)
    }
}

impl Change for TouchPart {
    type Outcome = Vec<Result<bool>>;
    const OPERATION: Operation = Operation::Touch;

    fn items(&self) -> usize {
        self.0.len()
    }

    async fn make(self, core: &Core, lease: &mut Lease) -> Result<Self::Outcome> {
        let items = self.0;
        let size = padded(items.len());
        let mut fields = Fields::with_capacity(size * COLUMNS);
        for item in &items {
            fields.key(&item.key);
            fields.millis(item.ttl.as_millis());
        }
        fields.nulls((size - items.len()) * COLUMNS);
        let rows = lease.rows(Operation::Touch, core.statements.touch(size), fields).await?;
        let touched: HashMap<SessionKey, Option<Version>> = rows
            .iter()
            .map(|row| Ok((record::key(Operation::Touch, row)?, record::version(row, 1))))
            .collect::<Result<_>>()?;
        for (key, version) in &touched {
            core.shared.events.tell(Event::Changed { key: *key, version: *version });
        }
        let others: Vec<SessionKey> =
            items.iter().map(|item| item.key).filter(|key| !touched.contains_key(key)).collect();
        let found = core.look(lease, Operation::Touch, &others).await;
        let outcome = |item: &TouchItem| {
            if touched.contains_key(&item.key) {
                return Ok(true);
            }
            // A record that is live now was created after the touch. A row that cannot be read
            // prevented it.
            let found = found.as_ref().map_err(Clone::clone)?;
            found.get(&item.key).cloned().transpose().map(|_came_later| false)
        };
        Ok(items.iter().map(outcome).collect())
    }
}
