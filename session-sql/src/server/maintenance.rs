use session_core::{
    Cursor, Error, ErrorKind, Event, Maintenance, Operation, Page, Record, Result, SessionKey, async_trait,
};

use super::{
    backend::SqlBackend,
    core::{Core, Job},
    dialect::{Connection, Dialect, Purged, SqlResult},
    owner_index::number,
};

/// The maximum number of records in a page, which bounds its time and memory.
const MAX_PAGE: usize = 1_000;

/// The maximum number of records that one statement frees.
const MAX_PURGE: usize = 1_000;

#[derive(Debug)]
struct Paging {
    after: Vec<u8>,
    limit: usize,
}

#[derive(Debug)]
struct Count;

/// One batch of a purge.
#[derive(Debug)]
pub(super) struct Purge {
    /// Where the previous batch ended. Until the server has cleaned up, the index still holds the
    /// rows that it freed.
    pub(super) from: i64,
    pub(super) limit: usize,
}

impl Purge {
    /// The start of the first batch.
    pub(super) const FROM: i64 = i64::MIN;
}

/// Records are listed in the order of their keys: a cursor is the last key of a page.
#[async_trait]
impl<D: Dialect> Maintenance for SqlBackend<D> {
    async fn page(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        let limit = limit.clamp(1, MAX_PAGE);
        let after = match &cursor {
            None => Vec::new(),
            Some(cursor) => {
                let key = SessionKey::try_from(cursor.as_bytes()).map_err(|error| {
                    Error::new(ErrorKind::Config, Operation::Page)
                        .because("this cursor was not made by this store")
                        .with_source(error)
                })?;
                key.as_bytes().to_vec()
            }
        };
        let rows = self.core.run(Paging { after, limit }).await?;
        let last = rows.last().map(|(key, _)| *key).filter(|_| rows.len() == limit);
        let next = last.map(|key| Cursor::new(key.as_bytes().to_vec()));
        let records = rows.into_iter().filter_map(|(key, record)| Some((key, record.ok()?))).collect();
        Ok(Page { records, next })
    }

    async fn count(&self) -> Result<u64> {
        number(Operation::Count, self.core.run(Count).await?)
    }

    async fn purge_expired(&self, limit: usize) -> Result<u64> {
        let (mut freed, mut from, limit) = (0, Purge::FROM, limit.max(1));
        while freed < limit {
            let wanted = (limit - freed).min(MAX_PURGE);
            let purged = self.core.run(Purge { from, limit: wanted }).await?;
            freed += purged.freed.len();
            from = purged.reached.unwrap_or(from);
            if purged.looked_at < wanted {
                break;
            }
        }
        Ok(freed as u64)
    }
}

impl<D: Dialect> Job<D> for Paging {
    type Outcome = Vec<(SessionKey, Result<Record>)>;
    const OPERATION: Operation = Operation::Page;
    const QUESTION: bool = true;

    async fn run(&self, core: &Core<D>, connection: &mut Connection<D>) -> SqlResult<Self::Outcome> {
        core.dialect.page(connection, &self.after, self.limit).await
    }
}

impl<D: Dialect> Job<D> for Count {
    type Outcome = i64;
    const OPERATION: Operation = Operation::Count;
    const QUESTION: bool = true;

    async fn run(&self, core: &Core<D>, connection: &mut Connection<D>) -> SqlResult<i64> {
        core.dialect.count(connection).await
    }
}

impl<D: Dialect> Job<D> for Purge {
    type Outcome = Purged;
    const OPERATION: Operation = Operation::Purge;

    async fn run(&self, core: &Core<D>, connection: &mut Connection<D>) -> SqlResult<Purged> {
        let purged = core.dialect.purge(connection, self.from, self.limit).await?;
        for key in &purged.freed {
            core.dialect.tell(Event::Expired { key: *key });
        }
        Ok(purged)
    }
}
