use std::sync::Arc;

use session_core::{
    DeleteItem, DeleteOutcome, Error, Expected, Maintenance, Operation, OwnerIndex, Record, RenameOutcome,
    Result, SessionKey, SessionStore, TouchItem, Ttl, Version, Watch, When, Write, WriteItem, WriteOutcome,
    async_trait,
};
use tokio::runtime::Handle;

use crate::{channel::Channel, settings::BatchSettings};

/// A store that gathers concurrent single operations into batches for the store within.
///
/// Clones are handles on the same store and the same queues. Everything that the store within promises, this promises, too.
#[derive(Clone, Debug)]
pub struct Batched<S> {
    channels: Arc<Channels<S>>,
}

#[derive(Debug)]
struct Channels<S> {
    store: Arc<S>,
    reads: Arc<Channel<S, SessionKey>>,
    writes: Arc<Channel<S, WriteItem>>,
    touches: Arc<Channel<S, TouchItem>>,
    deletes: Arc<Channel<S, DeleteItem>>,
}

impl<S: SessionStore + 'static> Batched<S> {
    /// Gathers operations for `store` with these settings.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](session_core::ErrorKind::Config) outside of a tokio runtime, whose tasks carry the batches.
    pub fn new(store: S, settings: BatchSettings) -> Result<Self> {
        let runtime = Handle::try_current().map_err(|error| {
            Error::new(session_core::ErrorKind::Config, Operation::Connect)
                .because("batching needs a tokio runtime; make the store inside one, or turn batching off")
                .with_source(error)
        })?;
        let store = Arc::new(store);
        let BatchSettings { bounds, queue, deadline } = settings;
        Ok(Self {
            channels: Arc::new(Channels {
                reads: Channel::new(Arc::clone(&store), bounds, queue, deadline, runtime.clone()),
                writes: Channel::new(Arc::clone(&store), bounds, queue, deadline, runtime.clone()),
                touches: Channel::new(Arc::clone(&store), bounds, queue, deadline, runtime.clone()),
                deletes: Channel::new(Arc::clone(&store), bounds, queue, deadline, runtime),
                store,
            }),
        })
    }

    /// The store within.
    pub fn get_ref(&self) -> &S {
        &self.channels.store
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: SessionStore + 'static> SessionStore for Batched<S> {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.channels.reads.submit(*key).await
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        self.channels.writes.submit(WriteItem { key: *key, write, when }).await
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        self.channels.touches.submit(TouchItem { key: *key, ttl }).await
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        self.channels.deletes.submit(DeleteItem { key: *key, expected }).await
    }

    async fn rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        self.get_ref().rename(old, new, write, expected).await
    }

    async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        self.get_ref().read_many(keys).await
    }

    async fn write_many(&self, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        self.get_ref().write_many(items).await
    }

    async fn touch_many(&self, items: &[TouchItem]) -> Vec<Result<bool>> {
        self.get_ref().touch_many(items).await
    }

    async fn delete_many(&self, items: &[DeleteItem]) -> Vec<Result<DeleteOutcome>> {
        self.get_ref().delete_many(items).await
    }

    async fn ping(&self) -> Result<()> {
        self.get_ref().ping().await
    }

    async fn close(&self) -> Result<()> {
        let Channels { store, reads, writes, touches, deletes } = &*self.channels;
        reads.drain().await?;
        writes.drain().await?;
        touches.drain().await?;
        deletes.drain().await?;
        store.close().await
    }

    fn max_data_len(&self) -> usize {
        self.get_ref().max_data_len()
    }

    fn owners(&self) -> Option<&dyn OwnerIndex> {
        self.get_ref().owners()
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        self.get_ref().maintenance()
    }

    fn watch(&self) -> Option<&dyn Watch> {
        self.get_ref().watch()
    }
}
