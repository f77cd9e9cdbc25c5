use session_core::{
    Error, ErrorKind, Operation, Owner, OwnerIndex, Result, SessionKey, SessionStore, async_trait,
};

use super::{counters::Count, flaw::Flaw, store::Cached, table::Table};

/// Empties the cache if sessions of an owner may have ended and it is not known which.
struct FlushOnDrop<'a>(Option<&'a Table>);

impl Drop for FlushOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(table) = self.0 {
            table.flush();
        }
    }
}

impl<S: SessionStore> Cached<S> {
    fn index(&self, operation: Operation) -> Result<&dyn OwnerIndex> {
        let missing =
            || Error::new(ErrorKind::Unsupported, operation).because("the store has no owner index");
        self.inner.store.owners().ok_or_else(missing)
    }
}

/// The owner index of the wrapped store. The cache drops the entries of the sessions that it ends.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: SessionStore + 'static> OwnerIndex for Cached<S> {
    async fn list(&self, owner: &Owner) -> Result<Vec<SessionKey>> {
        self.index(Operation::ListOwner)?.list(owner).await
    }

    async fn count(&self, owner: &Owner) -> Result<u64> {
        self.index(Operation::CountOwner)?.count(owner).await
    }

    async fn delete_all(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<Vec<SessionKey>> {
        let index = self.index(Operation::DeleteOwner)?;
        let table = &*self.inner.table;
        let mut unknown = FlushOnDrop((!table.has(Flaw::ForgetsOwners)).then_some(table));
        let ended = index.delete_all(owner, except).await?;
        if unknown.0.take().is_some() {
            for key in &ended {
                table.invalidate(key, Count::Own);
            }
        }
        Ok(ended)
    }
}
