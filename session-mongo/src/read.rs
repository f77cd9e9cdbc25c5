use std::collections::HashMap;

use mongodb::{
    Collection,
    action::{Action, Find, FindOne},
    bson::{Bson, RawDocumentBuf, doc},
};
use session_core::{Error, Operation, Record, Result, SessionKey};
use tokio::time::Instant;

use crate::{
    connection::Connection,
    core::Core,
    record::{binary, key, projection, record},
};

/// Chooses the collection of a connection to query.
type Side = fn(&Connection) -> &Collection<RawDocumentBuf>;

/// The maximum number of keys in one query.
const MAX_KEYS: usize = 1_000;

impl Core {
    pub(crate) async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        let operation = Operation::Read;
        let _open = self.begin(operation).await?;
        self.read_from(operation, Connection::reading, key, self.until()).await
    }

    pub(crate) async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        let operation = Operation::Read;
        let _open = match self.begin(operation).await {
            Ok(open) => open,
            Err(error) => return keys.iter().map(|_| Err(error.clone())).collect(),
        };
        self.read_many_from(operation, Connection::reading, keys, self.until()).await
    }

    /// The records that are live under these keys now, according to the primary.
    pub(crate) async fn look(
        &self,
        operation: Operation,
        keys: &[SessionKey],
        until: Instant,
    ) -> Vec<Result<Option<Record>>> {
        self.read_many_from(operation, Connection::primary, keys, until).await
    }

    async fn read_from(
        &self,
        operation: Operation,
        side: Side,
        key: &SessionKey,
        until: Instant,
    ) -> Result<Option<Record>> {
        let found = self
            .ask(operation, until, |connection| {
                let (collection, key) = (side(connection).clone(), *key);
                let limit = connection.limit(until);
                async move {
                    let filter = doc! { "_id": binary(key.as_bytes()) };
                    let find = collection.find_one(filter).projection(projection());
                    find.optional(limit, FindOne::max_time).await
                }
            })
            .await?;
        found.map_or(Ok(None), |document| record(operation, &document))
    }

    async fn read_many_from(
        &self,
        operation: Operation,
        side: Side,
        keys: &[SessionKey],
        until: Instant,
    ) -> Vec<Result<Option<Record>>> {
        match keys {
            [] => return Vec::new(),
            [key] => return vec![self.read_from(operation, side, key, until).await],
            _ => {}
        }
        let mut results = Vec::with_capacity(keys.len());
        let mut outage: Option<Error> = None;
        for keys in keys.chunks(MAX_KEYS) {
            if let Some(error) = &outage {
                results.extend(keys.iter().map(|_| Err(error.clone())));
                continue;
            }
            match self.find(operation, side, keys, until).await {
                Ok(found) => {
                    // The server returns a key once, however often it was asked for.
                    results.extend(keys.iter().map(|key| found.get(key).cloned().unwrap_or(Ok(None))));
                }
                Err(error) => {
                    results.extend(keys.iter().map(|_| Err(error.clone())));
                    outage = Some(error);
                }
            }
        }
        results
    }

    async fn find(
        &self,
        operation: Operation,
        side: Side,
        keys: &[SessionKey],
        until: Instant,
    ) -> Result<HashMap<SessionKey, Result<Option<Record>>>> {
        self.ask(operation, until, |connection| {
            let collection = side(connection).clone();
            let limit = connection.limit(until);
            let keys: Vec<Bson> = keys.iter().map(|key| Bson::Binary(binary(key.as_bytes()))).collect();
            async move {
                // One reply for all records, unless they are too large for one.
                let most = u32::try_from(keys.len() + 1).unwrap_or(u32::MAX);
                let filter = doc! { "_id": { "$in": keys } };
                let find = collection.find(filter).projection(projection()).batch_size(most);
                let mut cursor = find.optional(limit, Find::max_time).await?;
                let mut found = HashMap::with_capacity(most as usize);
                while cursor.advance().await? {
                    let document = cursor.current();
                    if let Some(key) = key(document) {
                        found.insert(key, record(operation, document));
                    }
                }
                Ok(found)
            }
        })
        .await
    }
}
