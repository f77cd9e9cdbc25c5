use std::sync::Arc;

use session_core::{
    Cursor, Error, ErrorKind, Event, Maintenance, Operation, Page, Result, SessionKey, async_trait,
};

use super::{
    backend::SqliteBackend,
    binds::Fields,
    connections::Lease,
    core::{Change, Core},
    owner_index::number,
    record,
};

/// The maximum number of records in a page, which bounds its time and memory.
const MAX_PAGE: usize = 1_000;

/// The maximum number of records that one statement frees.
const MAX_PURGE: usize = 1_000;

struct Purge(usize);

/// Records are listed in the order of their keys: a cursor is the last key of a page.
#[async_trait]
impl Maintenance for SqliteBackend {
    async fn page(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        let limit = limit.clamp(1, MAX_PAGE);
        let mut fields = Fields::with_capacity(2);
        match &cursor {
            None => fields.push(&[][..]),
            Some(cursor) => fields.key(&SessionKey::try_from(cursor.as_bytes()).map_err(|error| {
                Error::new(ErrorKind::Config, Operation::Page)
                    .because("this cursor was not made by this store")
                    .with_source(error)
            })?),
        }
        fields.push(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = self.0.ask(Operation::Page, self.0.statements.page.clone(), fields).await?;
        let mut records = Vec::with_capacity(rows.len());
        let mut last = None;
        for row in &rows {
            let Ok(key) = record::key(Operation::Page, row) else { continue };
            last = Some(key);
            if let Ok(record) = record::from_row(Operation::Page, row) {
                records.push((key, record));
            }
        }
        let next = last.filter(|_| rows.len() == limit).map(|key| Cursor::new(key.as_bytes().to_vec()));
        Ok(Page { records, next })
    }

    async fn count(&self) -> Result<u64> {
        let rows = self.0.ask(Operation::Count, self.0.statements.count.clone(), Fields::default()).await?;
        number(Operation::Count, &rows)
    }

    async fn purge_expired(&self, limit: usize) -> Result<u64> {
        let (mut freed, limit) = (0, limit.max(1));
        while freed < limit {
            let wanted = (limit - freed).min(MAX_PURGE);
            let purged = self.0.purge(wanted).await?;
            freed += purged.freed;
            if purged.looked_at < wanted {
                break;
            }
        }
        Ok(freed as u64)
    }
}

/// The result of a purge.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purged {
    pub(crate) freed: usize,
    /// The number of records visited. It equals the limit if there may be more.
    pub(crate) looked_at: usize,
}

impl Core {
    /// Visits up to `limit` of the records that may have expired, longest due first, and frees
    /// those that have.
    pub(crate) async fn purge(self: &Arc<Self>, limit: usize) -> Result<Purged> {
        self.change(Purge(limit)).await
    }
}

impl Change for Purge {
    type Outcome = Purged;
    const OPERATION: Operation = Operation::Purge;

    fn items(&self) -> usize {
        self.0
    }

    async fn make(self, core: &Core, lease: &mut Lease) -> Result<Purged> {
        let limit = || {
            let mut fields = Fields::with_capacity(1);
            fields.push(i64::try_from(self.0).unwrap_or(i64::MAX));
            fields
        };
        let freed = lease.rows(Self::OPERATION, core.statements.purge.clone(), limit()).await?;
        for row in &freed {
            core.shared.events.tell(Event::Expired { key: record::key(Self::OPERATION, row)? });
        }
        let freed = freed.len();
        if freed == self.0 {
            return Ok(Purged { freed, looked_at: freed });
        }
        let postponed = lease.rows(Self::OPERATION, core.statements.postpone.clone(), limit()).await?.len();
        Ok(Purged { freed, looked_at: (freed + postponed).min(self.0) })
    }
}
