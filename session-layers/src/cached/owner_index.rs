use session_core::{
    Error, ErrorKind, Operation, Owner, OwnerIndex, Result, SessionKey, SessionStore, async_trait,
};

use super::{counters::Count, flaw::Flaw, l1::L1, store::Cached};

/// Empties the cache if the sessions of an owner may have ended without anybody knowing which.
struct FlushOnDrop<'a>(Option<&'a L1>);

impl Drop for FlushOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(l1) = self.0 {
            l1.flush();
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

/// The index of the store within. What it ends goes from the cache.
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
        let l1 = &*self.inner.l1;
        let mut unknown = FlushOnDrop((!l1.has(Flaw::ForgetsOwners)).then_some(l1));
        let ended = index.delete_all(owner, except).await?;
        if unknown.0.take().is_some() {
            for key in &ended {
                l1.invalidate(key, Count::Own);
            }
        }
        Ok(ended)
    }
}
