use std::{fmt, sync::Arc};

use futures_util::future::{join, join4};
use session_core::{
    Cursor, DeleteItem, DeleteOutcome, Error, ErrorKind, Expected, Maintenance, Operation, Owner, OwnerIndex,
    Page, Record, RenameOutcome, Result, SessionKey, SessionStore, TouchItem, Ttl, Version, Watch, When,
    Write, WriteItem, WriteOutcome, async_trait,
};

use crate::{channel::Channel, gate::Gate, runtime::Runtime, settings::BatchSettings};

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
pub struct Batched<S> {
    store: Arc<S>,
    /// What is not gathered goes through it.
    gate: Arc<Gate>,
    /// Not there if batching is off.
    channels: Option<Arc<Channels<S>>>,
}

struct Channels<S> {
    reads: Arc<Channel<S, SessionKey>>,
    writes: Arc<Channel<S, WriteItem>>,
    touches: Arc<Channel<S, TouchItem>>,
    deletes: Arc<Channel<S, DeleteItem>>,
}

impl<S: SessionStore + 'static> Channels<S> {
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

impl<S: SessionStore + 'static> Batched<S> {
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
    /// [`Config`](session_core::ErrorKind::Config) outside of a tokio runtime, unless batching is [off](BatchSettings::off).
    pub fn new(store: S, settings: BatchSettings) -> Result<Self> {
        let (store, gate) = (Arc::new(store), Arc::new(Gate::new(settings.deadline)));
        if !settings.on {
            return Ok(Self { store, gate, channels: None });
        }
        let runtime = Runtime::current()?;
        let channels = Arc::new(Channels {
            reads: Channel::new(&store, &settings, &runtime),
            writes: Channel::new(&store, &settings, &runtime),
            touches: Channel::new(&store, &settings, &runtime),
            deletes: Channel::new(&store, &settings, &runtime),
        });
        Ok(Self { store, gate, channels: Some(channels) })
    }
}

impl<S> Batched<S> {
    /// The store within, for what it can do beside [`SessionStore`]. Its operations are not gathered.
    pub fn get_ref(&self) -> &S {
        &self.store
    }
}

// By hand, because deriving it would ask the store within to be `Clone`.
impl<S> Clone for Batched<S> {
    fn clone(&self) -> Self {
        Self { store: Arc::clone(&self.store), gate: Arc::clone(&self.gate), channels: self.channels.clone() }
    }
}

// By hand, because what waits is session data, which belongs into no log.
impl<S: fmt::Debug> fmt::Debug for Batched<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let batching = if self.channels.is_some() { "on" } else { "off" };
        f.debug_struct("Batched")
            .field("store", &self.store)
            .field("batching", &batching)
            .finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: SessionStore + 'static> SessionStore for Batched<S> {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        if let Some(channels) = &self.channels {
            return channels.reads.submit(*key).await;
        }
        let _under_way = self.gate.enter(Operation::Read)?;
        self.store.read(key).await
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        if let Some(channels) = &self.channels {
            return channels.writes.submit(WriteItem { key: *key, write, when }).await;
        }
        let _under_way = self.gate.enter(Operation::Write)?;
        self.store.write(key, write, when).await
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        if let Some(channels) = &self.channels {
            return channels.touches.submit(TouchItem { key: *key, ttl }).await;
        }
        let _under_way = self.gate.enter(Operation::Touch)?;
        self.store.touch(key, ttl).await
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        if let Some(channels) = &self.channels {
            return channels.deletes.submit(DeleteItem { key: *key, expected }).await;
        }
        let _under_way = self.gate.enter(Operation::Delete)?;
        self.store.delete(key, expected).await
    }

    async fn rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        let _under_way = self.gate.enter(Operation::Rename)?;
        self.store.rename(old, new, write, expected).await
    }

    async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        match self.gate.enter(Operation::Read) {
            Ok(_under_way) => self.store.read_many(keys).await,
            Err(closed) => keys.iter().map(|_| Err(closed.clone())).collect(),
        }
    }

    async fn write_many(&self, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        match self.gate.enter(Operation::Write) {
            Ok(_under_way) => self.store.write_many(items).await,
            Err(closed) => items.iter().map(|_| Err(closed.clone())).collect(),
        }
    }

    async fn touch_many(&self, items: &[TouchItem]) -> Vec<Result<bool>> {
        match self.gate.enter(Operation::Touch) {
            Ok(_under_way) => self.store.touch_many(items).await,
            Err(closed) => items.iter().map(|_| Err(closed.clone())).collect(),
        }
    }

    async fn delete_many(&self, items: &[DeleteItem]) -> Vec<Result<DeleteOutcome>> {
        match self.gate.enter(Operation::Delete) {
            Ok(_under_way) => self.store.delete_many(items).await,
            Err(closed) => items.iter().map(|_| Err(closed.clone())).collect(),
        }
    }

    async fn ping(&self) -> Result<()> {
        let _under_way = self.gate.enter(Operation::Ping)?;
        self.store.ping().await
    }

    async fn close(&self) -> Result<()> {
        let gathered = async {
            match &self.channels {
                Some(channels) => channels.close().await,
                None => Ok(()),
            }
        };
        let (gathered, others) = join(gathered, self.gate.close()).await;
        // Also if something is still under way after the deadline: nothing would come of waiting on.
        self.store.close().await?;
        gathered.and(others)
    }

    fn max_data_len(&self) -> usize {
        self.store.max_data_len()
    }

    fn owners(&self) -> Option<&dyn OwnerIndex> {
        self.store.owners().map(|_| self as &dyn OwnerIndex)
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        self.store.maintenance().map(|_| self as &dyn Maintenance)
    }

    fn watch(&self) -> Option<&dyn Watch> {
        self.store.watch()
    }
}

/// What `owners` and `maintenance` have found is there for good.
fn part<T>(part: Option<T>, operation: Operation) -> Result<T> {
    part.ok_or_else(|| Error::new(ErrorKind::Internal, operation).because("the store within has changed"))
}

#[async_trait]
impl<S: SessionStore + 'static> OwnerIndex for Batched<S> {
    async fn list(&self, owner: &Owner) -> Result<Vec<SessionKey>> {
        let _under_way = self.gate.enter(Operation::ListOwner)?;
        part(self.store.owners(), Operation::ListOwner)?.list(owner).await
    }

    async fn count(&self, owner: &Owner) -> Result<u64> {
        let _under_way = self.gate.enter(Operation::CountOwner)?;
        part(self.store.owners(), Operation::CountOwner)?.count(owner).await
    }

    async fn delete_all(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<Vec<SessionKey>> {
        let _under_way = self.gate.enter(Operation::DeleteOwner)?;
        part(self.store.owners(), Operation::DeleteOwner)?.delete_all(owner, except).await
    }
}

#[async_trait]
impl<S: SessionStore + 'static> Maintenance for Batched<S> {
    async fn page(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        let _under_way = self.gate.enter(Operation::Page)?;
        part(self.store.maintenance(), Operation::Page)?.page(cursor, limit).await
    }

    async fn count(&self) -> Result<u64> {
        let _under_way = self.gate.enter(Operation::Count)?;
        part(self.store.maintenance(), Operation::Count)?.count().await
    }

    async fn purge_expired(&self, limit: usize) -> Result<u64> {
        let _under_way = self.gate.enter(Operation::Purge)?;
        part(self.store.maintenance(), Operation::Purge)?.purge_expired(limit).await
    }
}
