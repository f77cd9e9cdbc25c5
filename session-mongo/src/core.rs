use std::{fmt, future::Future, sync::Arc, time::Duration};

use mongodb::{error::Error as DriverError, options::WriteConcern};
use rand::RngExt;
use session_core::{Error, ErrorKind, Operation, Result, SessionKey, Write};
use tokio::{
    sync::{RwLock, RwLockReadGuard, Semaphore, watch},
    time::{Instant, sleep, timeout_at},
};

use crate::{
    connection::{Connection, Connections},
    errors::{Failure, closed, failed, failure, late, unexpected},
    watching::Watching,
};

/// The most items of one round trip.
pub(crate) const MAX_ITEMS: usize = 512;

/// About the most bytes of one round trip. A single larger item travels alone.
pub(crate) const MAX_BYTES: usize = 8 << 20;

/// What all handles on one store share.
pub(crate) struct Core {
    pub(crate) connections: Arc<Connections>,
    /// Whether the client was made by the store, which then ends it.
    pub(crate) own_client: bool,
    pub(crate) collection: String,
    pub(crate) write_concern: WriteConcern,
    pub(crate) deadline: Duration,
    pub(crate) max_data_len: usize,
    pub(crate) resends: u32,
    /// Not there on a standalone server, which has no change streams.
    pub(crate) watching: Option<Watching>,
    /// As many commands may be under way, those included whose callers have given up.
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) closed: watch::Sender<bool>,
    /// Held for reading by what is under way.
    pub(crate) under_way: RwLock<()>,
}

/// The pause before the second attempt, and the longest one.
pub(crate) const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

impl Core {
    /// Holds the store open, or says that it is closed.
    pub(crate) async fn begin(&self, operation: Operation) -> Result<RwLockReadGuard<'_, ()>> {
        if *self.closed.borrow() {
            return Err(closed(operation));
        }
        let guard = self.under_way.read().await;
        if *self.closed.borrow() { Err(closed(operation)) } else { Ok(guard) }
    }

    pub(crate) fn check_len(&self, operation: Operation, write: &Write) -> Result<()> {
        if write.data.len() > self.max_data_len {
            return Err(Error::too_large(operation, write.data.len(), self.max_data_len));
        }
        Ok(())
    }

    pub(crate) fn until(&self) -> Instant {
        Instant::now() + self.deadline
    }

    /// Whether the primary answers, and has the collection.
    pub(crate) async fn ping(&self) -> Result<()> {
        let _open = self.begin(Operation::Ping).await?;
        let nobody = SessionKey::from_bytes([0; SessionKey::LEN]);
        match self.look(Operation::Ping, &[nobody], self.until()).await.pop() {
            Some(answer) => answer.map(drop),
            None => Err(unexpected(Operation::Ping, "there")),
        }
    }

    /// Gives back what the store holds of the driver, and waits for that no longer than `until`.
    pub(crate) async fn end(&self, until: Instant) {
        let connection = self.connections.current();
        if let Some(sessions) = &connection.numbered {
            sessions.clear();
        }
        if self.own_client {
            let client = connection.client.clone();
            // On a task of its own, like everything else. Waited for, because the driver panics if the runtime ends half-way; what is left then
            // goes on without anybody waiting: a server that does not answer must not keep the store from closing.
            let shutdown = tokio::spawn(async move { client.shutdown().immediate(true).await });
            drop(timeout_at(until, shutdown).await);
        }
    }

    /// Lets `work` use the driver, on a task of its own: the driver's futures must not be dropped half-way, and know no deadline. After it, the
    /// work goes on without anybody waiting for it, until the driver finds out that the connection is dead.
    pub(crate) async fn on_a_task<T: Send + 'static>(
        &self,
        operation: Operation,
        change: bool,
        until: Instant,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        let Ok(permit) = timeout_at(until, Arc::clone(&self.permits).acquire_owned()).await else {
            return Err(late(operation, false));
        };
        let permit = permit.map_err(|_| closed(operation))?;
        let task = tokio::spawn(async move {
            let _permit = permit;
            work.await
        });
        match timeout_at(until, task).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(panic)) => {
                Err(Error::unavailable(operation, change).because("the driver failed").with_source(panic))
            }
            Err(_) => Err(late(operation, change)),
        }
    }

    /// Asks until there is an answer: questions can be asked again.
    pub(crate) async fn ask<T, F>(
        &self,
        operation: Operation,
        until: Instant,
        question: impl Fn(&Connection) -> F + Send + Sync,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, DriverError>> + Send + 'static,
    {
        let mut pause = PAUSES.0;
        let mut sent = 0;
        loop {
            let connection = self.connections.current();
            let error = match self.on_a_task(operation, false, until, question(&connection)).await? {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            sent += 1;
            let failure = self.judge(operation, &connection, &error, 1, until).await?;
            let error = failed(operation, failure, false, error);
            if !error.is_transient() || sent > self.resends || failure == Failure::Refused(ErrorKind::Closed)
            {
                return Err(error);
            }
            if !rest(&mut pause, until).await {
                return Err(error);
            }
        }
    }
}

impl Core {
    /// Judges a failed command of so many statements, and sees to another login if the server
    /// refused the one of `connection`.
    pub(crate) async fn judge(
        &self,
        operation: Operation,
        connection: &Arc<Connection>,
        error: &DriverError,
        statements: usize,
        until: Instant,
    ) -> Result<Failure> {
        match timeout_at(until, self.connections.renewed(connection, error)).await {
            Ok(Ok(true)) => Ok(Failure::NotSent),
            Ok(Ok(false)) => Ok(failure(error, statements)),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(late(operation, false)),
        }
    }
}

// By hand: the driver's types show all of its state.
impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoStore")
            .field("database", &self.connections.current().database.name())
            .field("collection", &self.collection)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Waits for a little while, the next time for longer. `false` if the deadline has come.
pub(crate) async fn rest(pause: &mut Duration, until: Instant) -> bool {
    let jittered = pause.mul_f64(rand::rng().random_range(0.5..1.5));
    sleep(jittered.min(until.saturating_duration_since(Instant::now()))).await;
    *pause = (2 * *pause).min(PAUSES.1);
    Instant::now() < until
}
