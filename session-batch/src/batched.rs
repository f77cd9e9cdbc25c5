use std::{fmt, sync::Arc};

use futures_util::future::join4;
use session_core::{
    DeleteItem, DeleteOutcome, Expected, Maintenance, OwnerIndex, Record, RenameOutcome, Result, SessionKey,
    SessionStore, TouchItem, Ttl, Version, Watch, When, Write, WriteItem, WriteOutcome, async_trait,
};

use crate::{channel::Channel, runtime::Runtime, settings::BatchSettings};

/// A store that gathers concurrent single operations into batches for the store within.
///
/// [`read`](SessionStore::read), [`write`](SessionStore::write), [`touch`](SessionStore::touch) and [`delete`](SessionStore::delete) are
/// gathered, each kind by itself, by the rules in the description of this crate. Everything else goes to the store within as it is. All that
/// the store within promises, this promises, too. Clones are handles on the same store and the same queues.
///
/// # Errors
/// Of the four, beside those of the store within:
/// * [`Unavailable`](session_core::ErrorKind::Unavailable) at the [deadline](BatchSettings::deadline). Its `may_have_applied` is exact about the
///   queue: it is `false` if the operation was not sent, and for reads.
/// * `Unavailable` likewise if the store within panicked, or gave the wrong number of outcomes for a batch.
/// * [`Closed`](session_core::ErrorKind::Closed) after [`close`](SessionStore::close).
///
/// # Panics
/// The four panic outside of a tokio runtime whose timer is enabled (`enable_time` or `enable_all` of its builder).
pub struct Batched<S> {
    store: Arc<S>,
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
    /// Batches are carried by tasks of the runtime that this is called in. When that shuts down, what waits fails as
    /// [`Unavailable`](session_core::ErrorKind::Unavailable).
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config) outside of a tokio runtime, unless batching is [off](BatchSettings::off).
    pub fn new(store: S, settings: BatchSettings) -> Result<Self> {
        let store = Arc::new(store);
        if !settings.on {
            return Ok(Self { store, channels: None });
        }
        let runtime = Runtime::current()?;
        let channels = Arc::new(Channels {
            reads: Channel::new(&store, &settings, &runtime),
            writes: Channel::new(&store, &settings, &runtime),
            touches: Channel::new(&store, &settings, &runtime),
            deletes: Channel::new(&store, &settings, &runtime),
        });
        Ok(Self { store, channels: Some(channels) })
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
        Self { store: Arc::clone(&self.store), channels: self.channels.clone() }
    }
}

// By hand, because what waits is session data, which belongs into no log.
impl<S: fmt::Debug> fmt::Debug for Batched<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let batching = if self.channels.is_some() { "on" } else { "off" };
        f.debug_struct("Batched").field("store", &self.store).field("batching", &batching).finish()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: SessionStore + 'static> SessionStore for Batched<S> {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        match &self.channels {
            Some(channels) => channels.reads.submit(*key).await,
            None => self.store.read(key).await,
        }
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        match &self.channels {
            Some(channels) => channels.writes.submit(WriteItem { key: *key, write, when }).await,
            None => self.store.write(key, write, when).await,
        }
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        match &self.channels {
            Some(channels) => channels.touches.submit(TouchItem { key: *key, ttl }).await,
            None => self.store.touch(key, ttl).await,
        }
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        match &self.channels {
            Some(channels) => channels.deletes.submit(DeleteItem { key: *key, expected }).await,
            None => self.store.delete(key, expected).await,
        }
    }

    async fn rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        self.store.rename(old, new, write, expected).await
    }

    async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        self.store.read_many(keys).await
    }

    async fn write_many(&self, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        self.store.write_many(items).await
    }

    async fn touch_many(&self, items: &[TouchItem]) -> Vec<Result<bool>> {
        self.store.touch_many(items).await
    }

    async fn delete_many(&self, items: &[DeleteItem]) -> Vec<Result<DeleteOutcome>> {
        self.store.delete_many(items).await
    }

    async fn ping(&self) -> Result<()> {
        self.store.ping().await
    }

    async fn close(&self) -> Result<()> {
        let drained = match &self.channels {
            Some(channels) => channels.close().await,
            None => Ok(()),
        };
        // Also if something is still under way after the deadline: nothing would come of waiting on.
        self.store.close().await?;
        drained
    }

    fn max_data_len(&self) -> usize {
        self.store.max_data_len()
    }

    fn owners(&self) -> Option<&dyn OwnerIndex> {
        self.store.owners()
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        self.store.maintenance()
    }

    fn watch(&self) -> Option<&dyn Watch> {
        self.store.watch()
    }
}
