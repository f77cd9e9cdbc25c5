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
    watch::Watching,
};

/// The maximum number of items in one round trip.
pub(crate) const MAX_ITEMS: usize = 512;

/// About the maximum number of bytes in one round trip. A single larger item is sent alone.
pub(crate) const MAX_BYTES: usize = 8 << 20;

/// The state that all handles on one store share.
pub(crate) struct Core {
    pub(crate) connections: Arc<Connections>,
    /// Whether the store has created the client. If so, it also shuts the client down.
    pub(crate) own_client: bool,
    pub(crate) collection: String,
    pub(crate) write_concern: WriteConcern,
    pub(crate) deadline: Duration,
    pub(crate) max_data_len: usize,
    pub(crate) max_retries: u32,
    /// `None` on a standalone server, which has no change streams.
    pub(crate) watching: Option<Watching>,
    /// Limits the commands in flight, including those whose callers have given up.
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) closed: watch::Sender<bool>,
    /// Read-locked by the operations in flight.
    pub(crate) under_way: RwLock<()>,
}

/// The pauses between attempts: the first and the longest.
pub(crate) const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

impl Core {
    /// Keeps the store open during an operation, or fails if it is closed.
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

    /// Whether the primary answers, and can read the collection.
    pub(crate) async fn ping(&self) -> Result<()> {
        let _open = self.begin(Operation::Ping).await?;
        let nobody = SessionKey::from_bytes([0; SessionKey::LEN]);
        match self.look(Operation::Ping, &[nobody], self.until()).await.pop() {
            Some(answer) => answer.map(drop),
            None => Err(unexpected(Operation::Ping, "there")),
        }
    }

    /// Releases what the store holds of the driver. Waits no longer than `until`.
    pub(crate) async fn end(&self, until: Instant) {
        let connection = self.connections.current();
        if let Some(sessions) = &connection.retryable {
            sessions.clear();
        }
        if self.own_client {
            let client = connection.client.clone();
            // On a task of its own, like all uses of the driver. The store waits for the task,
            // because the driver panics if the runtime ends half-way. After `until`, the task runs
            // on alone: a server that does not answer must not keep the store from closing.
            let shutdown = tokio::spawn(async move { client.shutdown().immediate(true).await });
            drop(timeout_at(until, shutdown).await);
        }
    }

    /// Runs `work`, which uses the driver, on a task of its own, because the driver's futures must
    /// not be dropped half-way and know no deadline. After the deadline, no caller waits for the
    /// task; it runs until the driver finds the connection dead.
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

    /// Asks until there is an answer. A question changes nothing, so it can be asked again.
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
            if !error.is_transient()
                || sent > self.max_retries
                || failure == Failure::Refused(ErrorKind::Closed)
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
    /// Judges a failed command of `statements` statements. If the server has refused the login of
    /// `connection`, this arranges for another login.
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

// Written by hand, because the driver's types show all of their state.
impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoStore")
            .field("database", &self.connections.current().database.name())
            .field("collection", &self.collection)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Pauses, the next time for longer. Returns `false` if the deadline has passed.
pub(crate) async fn rest(pause: &mut Duration, until: Instant) -> bool {
    let jittered = pause.mul_f64(rand::rng().random_range(0.5..1.5));
    sleep(jittered.min(until.saturating_duration_since(Instant::now()))).await;
    *pause = (2 * *pause).min(PAUSES.1);
    Instant::now() < until
}
