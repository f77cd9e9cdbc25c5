use std::{fmt, sync::Arc};

use futures_util::future::{join, join4};
use session_core::{
    Cursor, DeleteItem, DeleteOutcome, Error, ErrorKind, Expected, Maintenance, Operation, Owner, OwnerIndex,
    Page, Record, RenameOutcome, Result, SessionKey, SessionStore, TouchItem, Ttl, Version, Watch, When,
    Write, WriteItem, WriteOutcome, async_trait,
};

use super::{close_gate::CloseGate, dispatcher::Dispatcher, runtime::Runtime, settings::BatchSettings};
use crate::{Backend, backend::Single};

/// A store that gathers concurrent single operations into batches for the store within.
///
/// [`read`](SessionStore::read), [`write`](SessionStore::write), [`touch`](SessionStore::touch) and [`delete`](SessionStore::delete) are
/// gathered, each kind by itself, by the rules in the description of this crate. Everything else goes to the store within as it is, and counts as under way until it is back. All that
/// the store within promises, this promises, too. Clones are handles on the same store and the same queues.
///
/// # Errors
/// Beside those of the store within, of the four:
/// * [`Unavailable`](session_core::ErrorKind::Unavailable) at the [deadline](BatchSettings::deadline). Its `may_have_applied` is exact about the
///   queue: it is `false` if the operation was not sent, and for reads.
/// * `Unavailable` likewise if the store within panicked, or gave the wrong number of outcomes for a batch.
///
/// And of every operation, [`Closed`](session_core::ErrorKind::Closed) after [`close`](SessionStore::close).
///
/// # Panics
/// The four and `close` panic outside of a tokio runtime whose timer is enabled (`enable_time` or `enable_all` of its builder).
pub struct Batched<B> {
    backend: Arc<B>,
    /// What is not gathered goes through it.
    gate: Arc<CloseGate>,
    /// `None` if batching is disabled.
    queues: Option<Arc<Queues<B>>>,
}

struct Queues<B> {
    reads: Arc<Dispatcher<B, SessionKey>>,
    writes: Arc<Dispatcher<B, WriteItem>>,
    touches: Arc<Dispatcher<B, TouchItem>>,
    deletes: Arc<Dispatcher<B, DeleteItem>>,
}

impl<B: Backend> Queues<B> {
    async fn close(&self) -> Result<()> {
        let Self { reads, writes, touches, deletes } = self;
        reads.close();
        writes.close();
        touches.close();
        deletes.close();
        let drained = join4(reads.drain(), writes.drain(), touches.drain(), deletes.drain()).await;
        drained.0.and(drained.1).and(drained.2).and(drained.3)
    }
}

impl<B: Backend> Batched<B> {
    /// Gathers operations for `store` with these settings.
    ///
    /// A batch goes to the store's `read_many`, `write_many`, `touch_many` or `delete_many`. This pays off where these take
    /// many items in one round trip. The [provided](SessionStore#9-batches) ones make one call for each item, at
    /// most 16 at once, which is slower than to leave a store without these methods unwrapped: then all callers have their
    /// calls under way at the same time.
    ///
    /// Batches are carried by tasks of the runtime that this is called in. When that shuts down, what waits fails as
    /// [`Unavailable`](session_core::ErrorKind::Unavailable).
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config) outside of a tokio runtime, unless batching is [off](BatchSettings::disabled).
    pub fn new(backend: B, settings: BatchSettings) -> Result<Self> {
        let (backend, gate) = (Arc::new(backend), Arc::new(CloseGate::new(settings.deadline)));
        if !settings.is_enabled {
            return Ok(Self { backend, gate, queues: None });
        }
        let runtime = Runtime::current()?;
        let queues = Arc::new(Queues {
            reads: Dispatcher::new(&backend, &settings, &runtime),
            writes: Dispatcher::new(&backend, &settings, &runtime),
            touches: Dispatcher::new(&backend, &settings, &runtime),
            deletes: Dispatcher::new(&backend, &settings, &runtime),
        });
        Ok(Self { backend, gate, queues: Some(queues) })
    }
}

impl<B> Batched<B> {
    /// The store within, for what it can do beside [`SessionStore`]. Its operations are not gathered.
    pub fn get_ref(&self) -> &B {
        &self.backend
    }
}

// By hand, because deriving it would ask the store within to be `Clone`.
impl<B> Clone for Batched<B> {
    fn clone(&self) -> Self {
        Self { backend: Arc::clone(&self.backend), gate: Arc::clone(&self.gate), queues: self.queues.clone() }
    }
}

// By hand, because what waits is session data, which belongs into no log.
impl<B: fmt::Debug> fmt::Debug for Batched<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let batching = if self.queues.is_some() { "enabled" } else { "disabled" };
        f.debug_struct("Batched")
            .field("backend", &self.backend)
            .field("batching", &batching)
            .finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: Backend> SessionStore for Batched<B> {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        if let Some(queues) = &self.queues {
            return queues.reads.submit(*key).await;
        }
        let _in_flight = self.gate.enter(Operation::Read)?;
        Single(&*self.backend).read(key).await
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        if let Some(queues) = &self.queues {
            return queues.writes.submit(WriteItem { key: *key, write, when }).await;
        }
        let _in_flight = self.gate.enter(Operation::Write)?;
        Single(&*self.backend).write(key, write, when).await
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        if let Some(queues) = &self.queues {
            return queues.touches.submit(TouchItem { key: *key, ttl }).await;
        }
        let _in_flight = self.gate.enter(Operation::Touch)?;
        Single(&*self.backend).touch(key, ttl).await
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        if let Some(queues) = &self.queues {
            return queues.deletes.submit(DeleteItem { key: *key, expected }).await;
        }
        let _in_flight = self.gate.enter(Operation::Delete)?;
        Single(&*self.backend).delete(key, expected).await
    }

    async fn rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        let _in_flight = self.gate.enter(Operation::Rename)?;
        self.backend.rename(old, new, write, expected).await
    }

    async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        match self.gate.enter(Operation::Read) {
            Ok(_in_flight) => self.backend.read_many(keys).await,
            Err(closed) => keys.iter().map(|_| Err(closed.clone())).collect(),
        }
    }

    async fn write_many(&self, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        match self.gate.enter(Operation::Write) {
            Ok(_in_flight) => self.backend.write_many(items).await,
            Err(closed) => items.iter().map(|_| Err(closed.clone())).collect(),
        }
    }

    async fn touch_many(&self, items: &[TouchItem]) -> Vec<Result<bool>> {
        match self.gate.enter(Operation::Touch) {
            Ok(_in_flight) => self.backend.touch_many(items).await,
            Err(closed) => items.iter().map(|_| Err(closed.clone())).collect(),
        }
    }

    async fn delete_many(&self, items: &[DeleteItem]) -> Vec<Result<DeleteOutcome>> {
        match self.gate.enter(Operation::Delete) {
            Ok(_in_flight) => self.backend.delete_many(items).await,
            Err(closed) => items.iter().map(|_| Err(closed.clone())).collect(),
        }
    }

    async fn ping(&self) -> Result<()> {
        let _in_flight = self.gate.enter(Operation::Ping)?;
        self.backend.ping().await
    }

    async fn close(&self) -> Result<()> {
        let gathered = async {
            match &self.queues {
                Some(queues) => queues.close().await,
                None => Ok(()),
            }
        };
        let (gathered, others) = join(gathered, self.gate.close()).await;
        // Also if something is still under way after the deadline: nothing would come of waiting on.
        self.backend.close().await?;
        gathered.and(others)
    }

    fn max_data_len(&self) -> usize {
        self.backend.max_data_len()
    }

    fn owners(&self) -> Option<&dyn OwnerIndex> {
        self.backend.owners().map(|_| self as &dyn OwnerIndex)
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        self.backend.maintenance().map(|_| self as &dyn Maintenance)
    }

    fn watch(&self) -> Option<&dyn Watch> {
        self.backend.watch()
    }
}

/// What `owners` and `maintenance` have found is there for good.
fn part<T>(part: Option<T>, operation: Operation) -> Result<T> {
    part.ok_or_else(|| Error::new(ErrorKind::Internal, operation).because("the store within has changed"))
}

#[async_trait]
impl<B: Backend> OwnerIndex for Batched<B> {
    async fn list(&self, owner: &Owner) -> Result<Vec<SessionKey>> {
        let _in_flight = self.gate.enter(Operation::ListOwner)?;
        part(self.backend.owners(), Operation::ListOwner)?.list(owner).await
    }

    async fn count(&self, owner: &Owner) -> Result<u64> {
        let _in_flight = self.gate.enter(Operation::CountOwner)?;
        part(self.backend.owners(), Operation::CountOwner)?.count(owner).await
    }

    async fn delete_all(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<Vec<SessionKey>> {
        let _in_flight = self.gate.enter(Operation::DeleteOwner)?;
        part(self.backend.owners(), Operation::DeleteOwner)?.delete_all(owner, except).await
    }
}

#[async_trait]
impl<B: Backend> Maintenance for Batched<B> {
    async fn page(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        let _in_flight = self.gate.enter(Operation::Page)?;
        part(self.backend.maintenance(), Operation::Page)?.page(cursor, limit).await
    }

    async fn count(&self) -> Result<u64> {
        let _in_flight = self.gate.enter(Operation::Count)?;
        part(self.backend.maintenance(), Operation::Count)?.count().await
    }

    async fn purge_expired(&self, limit: usize) -> Result<u64> {
        let _in_flight = self.gate.enter(Operation::Purge)?;
        part(self.backend.maintenance(), Operation::Purge)?.purge_expired(limit).await
    }
}
