use futures_util::TryStreamExt;
use mongodb::{
    action::{Action, Aggregate, Find},
    bson::{Bson, doc},
    options::Hint,
};
use session_core::{Cursor, Error, ErrorKind, Maintenance, Operation, Page, Result, SessionKey, async_trait};

use crate::{
    backend::MongoBackend,
    core::Core,
    record::{self, binary, projection, record},
};

/// The maximum number of records in a page.
const MAX_PAGE: usize = 1_000;

/// The maximum number of documents that one step of a purge removes.
const PURGE_STEP: usize = 1_000;

#[async_trait]
impl Maintenance for MongoBackend {
    async fn page(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        let _open = self.0.begin(Operation::Page).await?;
        self.0.page(cursor, limit.clamp(1, MAX_PAGE)).await
    }

    /// Uses the index of expiry times.
    async fn count(&self) -> Result<u64> {
        let _open = self.0.begin(Operation::Count).await?;
        self.0.count().await
    }

    /// The server does the same by itself, once a minute. The documents that deleted records have
    /// left are also freed, and counted.
    async fn purge_expired(&self, limit: usize) -> Result<u64> {
        let _open = self.0.begin(Operation::Purge).await?;
        self.0.purge(limit).await
    }
}

impl Core {
    async fn page(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        let operation = Operation::Page;
        let after = cursor.map(|cursor| SessionKey::try_from(cursor.as_bytes())).transpose();
        let after = after.map_err(|_| {
            Error::new(ErrorKind::Config, operation).because("this cursor was not made by this store")
        })?;
        let until = self.until();
        let (records, next) = self
            .ask(operation, until, |connection| {
                let (collection, time) = (connection.primary.clone(), connection.limit(until));
                async move {
                    // Outside these bounds are binaries of another length and all other types.
                    let bound = |byte| binary(&[byte; SessionKey::LEN]);
                    let mut range = doc! { "$gte": bound(0), "$lte": bound(u8::MAX) };
                    if let Some(key) = after {
                        range.insert("$gt", binary(key.as_bytes()));
                    }
                    let filter = doc! { "_id": range };
                    let most = i64::try_from(limit).unwrap_or(i64::MAX);
                    let find =
                        collection.find(filter).sort(doc! { "_id": 1 }).projection(projection()).limit(most);
                    let mut cursor = find.optional(time, Find::max_time).await?;
                    let (mut records, mut met, mut last) = (Vec::new(), 0, None);
                    while cursor.advance().await? {
                        met += 1;
                        // Unreadable records are left out.
                        if let Some(key) = record::key(cursor.current()) {
                            last = Some(key);
                            if let Ok(Some(record)) = record(operation, cursor.current()) {
                                records.push((key, record));
                            }
                        }
                    }
                    Ok((records, last.filter(|_| met == limit)))
                }
            })
            .await?;
        Ok(Page { records, next: next.map(|key| Cursor::new(key.as_bytes().to_vec())) })
    }

    async fn count(&self) -> Result<u64> {
        let until = self.until();
        self.ask(Operation::Count, until, |connection| {
            let (collection, time) = (connection.primary.clone(), connection.limit(until));
            async move {
                let live =
                    doc! { "$match": { "$expr": { "$gt": ["$e", "$$NOW"] }, "d": { "$exists": true } } };
                let count = collection.aggregate([live, doc! { "$count": "live" }]);
                let mut counted = count.optional(time, Aggregate::max_time).await?;
                let count = counted.try_next().await?.and_then(|count| count.get("live").cloned());
                Ok(match count {
                    Some(Bson::Int32(count)) => u64::try_from(count).unwrap_or_default(),
                    Some(Bson::Int64(count)) => u64::try_from(count).unwrap_or_default(),
                    _ => 0,
                })
            }
        })
        .await
    }

    async fn purge(&self, limit: usize) -> Result<u64> {
        let (operation, until) = (Operation::Purge, self.until());
        let mut purged = 0;
        loop {
            let step =
                PURGE_STEP.min(limit.max(1).saturating_sub(usize::try_from(purged).unwrap_or(usize::MAX)));
            if step == 0 {
                return Ok(purged);
            }
            let removed = self
                .ask(operation, until, |connection| {
                    let (collection, time) = (connection.primary.clone(), connection.limit(until));
                    async move {
                        let most = i64::try_from(step).unwrap_or(i64::MAX);
                        let expired = doc! { "$expr": { "$lte": ["$e", "$$NOW"] }, "e": { "$type": "date" } };
                        let find = collection.find(expired.clone()).projection(doc! { "_id": 1 }).limit(most);
                        let mut cursor = find.optional(time, Find::max_time).await?;
                        let mut keys = Vec::new();
                        while cursor.advance().await? {
                            if let Ok(Some(key)) = cursor.current().get("_id") {
                                keys.extend(Bson::try_from(key).ok());
                            }
                        }
                        if keys.is_empty() {
                            return Ok(0);
                        }
                        // The expiry is checked again, in the step that removes the record. The
                        // hint selects the index of ids. The server might otherwise choose that of
                        // expiry times, which leads to all expired documents.
                        let mut still = expired;
                        still.insert("_id", doc! { "$in": keys });
                        let by_id = Hint::Keys(doc! { "_id": 1 });
                        Ok(collection.delete_many(still).hint(by_id).await?.deleted_count)
                    }
                })
                .await?;
            purged += removed;
            if removed < step as u64 {
                return Ok(purged);
            }
        }
    }
}
