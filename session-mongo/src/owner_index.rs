use mongodb::{
    action::{Action, Find},
    bson::doc,
};
use session_core::{
    DeleteItem, DeleteOutcome, Expected, Operation, Owner, OwnerIndex, Result, SessionKey, async_trait,
};
use tokio::time::Instant;

use crate::{backend::MongoBackend, core::Core, record};

/// The server maintains the index, in the same step as each write.
#[async_trait]
impl OwnerIndex for MongoBackend {
    async fn list(&self, owner: &Owner) -> Result<Vec<SessionKey>> {
        let _open = self.0.begin(Operation::ListOwner).await?;
        self.0.owned(Operation::ListOwner, owner, self.0.until()).await
    }

    async fn count(&self, owner: &Owner) -> Result<u64> {
        let _open = self.0.begin(Operation::CountOwner).await?;
        Ok(self.0.owned(Operation::CountOwner, owner, self.0.until()).await?.len() as u64)
    }

    async fn delete_all(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<Vec<SessionKey>> {
        let _open = self.0.begin(Operation::DeleteOwner).await?;
        self.0.delete_owner(owner, except).await
    }
}

impl Core {
    async fn owned(&self, operation: Operation, owner: &Owner, until: Instant) -> Result<Vec<SessionKey>> {
        self.ask(operation, until, |connection| {
            let (collection, owner) = (connection.primary.clone(), owner.clone());
            let time = connection.limit(until);
            async move {
                let projection = doc! { "_id": 1, "e": 1, "n": "$$NOW" };
                let find =
                    collection.find(doc! { "o": owner.as_str() }).projection(projection).batch_size(10_000);
                let mut cursor = find.optional(time, Find::max_time).await?;
                let mut keys = Vec::new();
                while cursor.advance().await? {
                    let found = cursor.current();
                    let time = |field| found.get_datetime(field).ok();
                    let live = time("e").zip(time("n")).is_some_and(|(expires, now)| expires > now);
                    keys.extend(record::key(found).filter(|_| live));
                }
                Ok(keys)
            }
        })
        .await
    }

    /// Ends the sessions of an owner until a listing has none that another task has ended.
    ///
    /// A session can be renamed meanwhile: its new document exists before the old one is deleted.
    /// The index orders the documents of an owner by insertion, so a listing that has passed the
    /// old document reaches the new one. A session that was listed but is gone may have been
    /// renamed after the listing, so another listing follows.
    async fn delete_owner(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<Vec<SessionKey>> {
        let operation = Operation::DeleteOwner;
        let until = self.until();
        let mut ended = Vec::new();
        loop {
            let mut keys = self.owned(operation, owner, until).await?;
            keys.retain(|key| Some(key) != except);
            let items: Vec<DeleteItem> =
                keys.iter().map(|key| DeleteItem { key: *key, expected: Expected::Any }).collect();
            let outcomes = self.delete_in_parts(operation, &items, until).await;
            let mut all = true;
            for (key, outcome) in keys.into_iter().zip(outcomes) {
                match outcome? {
                    DeleteOutcome::Deleted => ended.push(key),
                    DeleteOutcome::Absent | DeleteOutcome::Conflict => all = false,
                }
            }
            if all {
                return Ok(ended);
            }
        }
    }
}
