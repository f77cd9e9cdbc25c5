use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use session_core::{Error, Operation, Result};
use sqlx::{Pool, pool::PoolConnection};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{
    core::failed,
    dialect::{Connection, Dialect},
};

/// How long a successful check of a connection is valid: it works and leads to a primary. After
/// that, the connection is checked again before its next use, whether it was in use or idle. If a
/// server becomes read-only while its connections stay open, the store therefore stops using it
/// after this time and the read that is under way.
const TRUST: Duration = Duration::from_secs(1);

/// Idle time after which a connection is closed.
const TOO_LONG: Duration = Duration::from_mins(5);

/// The connections to the server.
pub(crate) enum Connections<D: Dialect> {
    /// The store's own connections. They are checked once a second; a pool would check before and
    /// after each use.
    Own(Arc<Own<D>>),
    /// A pool that belongs to the application.
    Pool(Pool<D::Database>),
}

pub(crate) struct Own<D: Dialect> {
    idle: Mutex<Vec<Idle<D>>>,
    /// Counts the events after which every connection must be checked before its next use.
    doubts: AtomicU64,
    free: Arc<Semaphore>,
    places: u32,
}

struct Idle<D: Dialect> {
    connection: Connection<D>,
    asked: Asked,
    since: Instant,
}

/// When a connection was last checked, and the value of `doubts` at that time.
#[derive(Clone, Copy, Debug)]
struct Asked {
    at: Instant,
    doubts: u64,
}

impl<D: Dialect> Connections<D> {
    pub(crate) fn own(places: usize) -> Self {
        Self::Own(Arc::new(Own {
            idle: Mutex::default(),
            doubts: AtomicU64::new(0),
            free: Arc::new(Semaphore::new(places)),
            places: u32::try_from(places).unwrap_or(u32::MAX),
        }))
    }

    /// Leases a connection for one operation.
    pub(crate) async fn lease(&self, dialect: &D, operation: Operation) -> Result<Lease<D>> {
        let unsent = |error| match failed::<D>(operation, &error).with_source(error) {
            // Nothing was sent.
            error if error.may_have_applied() => {
                Error::unavailable(operation, false).because("no connection could be made").with_source(error)
            }
            error => error,
        };
        let own = match self {
            Self::Own(own) => own,
            Self::Pool(pool) => {
                let mut lease =
                    Lease { held: Some(Held::Pooled(pool.acquire().await.map_err(unsent)?)), clean: true };
                if !D::READS_ASK {
                    // A connection that fails the check is closed, and not returned to the pool.
                    if let Err(error) = dialect.ask(lease.connection()).await {
                        dialect.switched();
                        return Err(unsent(error));
                    }
                    lease.is_clean();
                }
                return Ok(lease);
            }
        };
        let closed = |_| Error::new(session_core::ErrorKind::Closed, operation);
        let place = Arc::clone(&own.free).acquire_owned().await.map_err(closed)?;
        let (connection, asked) = if let Some(working) = own.working(dialect).await {
            working
        } else {
            let asked = own.now();
            (dialect.open().await.map_err(unsent)?, asked)
        };
        let held = Held::Own { connection: Some(connection), asked, home: Arc::clone(own), _place: place };
        Ok(Lease { held: Some(held), clean: true })
    }

    /// Requires a check of every connection before its next use, because one was lost or led to a
    /// server that cannot serve.
    pub(crate) fn doubt(&self) {
        if let Self::Own(own) = self {
            own.doubts.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Closes the store's own connections once they are no longer in use.
    pub(crate) async fn close(&self) {
        let Self::Own(own) = self else { return };
        // Nothing else closes the semaphore, and it grants no permit after this.
        let Ok(all) = own.free.acquire_many(own.places).await else { return };
        all.forget();
        own.free.close();
        let idle = std::mem::take(&mut *own.idle.lock());
        for Idle { connection, .. } in idle {
            // The server notices by itself if this does not reach it.
            let _ = sqlx::Connection::close(connection).await;
        }
    }

    /// Closes connections that have been idle for too long.
    pub(crate) async fn shrink(&self) {
        let Self::Own(own) = self else { return };
        let unused =
            own.idle.lock().extract_if(.., |idle| idle.since.elapsed() > TOO_LONG).collect::<Vec<_>>();
        for Idle { connection, .. } in unused {
            let _ = sqlx::Connection::close(connection).await;
        }
    }
}

impl<D: Dialect> Own<D> {
    /// The state to record for a connection that is checked from now on.
    fn now(&self) -> Asked {
        Asked { at: Instant::now(), doubts: self.doubts.load(Ordering::Relaxed) }
    }

    /// Takes the connection that was used last, so that a few stay busy instead of many nearly
    /// idle. A connection that fails its check is closed.
    async fn working(&self, dialect: &D) -> Option<(Connection<D>, Asked)> {
        loop {
            let Idle { mut connection, asked, .. } = self.idle.lock().pop()?;
            let now = self.now();
            if asked.doubts == now.doubts && now.at < asked.at + TRUST {
                return Some((connection, asked));
            }
            if dialect.ask(&mut connection).await.is_ok() {
                return Some((connection, now));
            }
            self.doubts.fetch_add(1, Ordering::Relaxed);
            dialect.switched();
        }
    }
}

impl<D: Dialect> fmt::Debug for Connections<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(own) => f.debug_struct("Own").field("places", &own.places).finish(),
            Self::Pool(_) => f.write_str("Pool"),
        }
    }
}

/// A connection in use by one operation.
pub(crate) struct Lease<D: Dialect> {
    held: Option<Held<D>>,
    /// Whether no request is in flight on it.
    clean: bool,
}

enum Held<D: Dialect> {
    Own { connection: Option<Connection<D>>, asked: Asked, home: Arc<Own<D>>, _place: OwnedSemaphorePermit },
    Pooled(PoolConnection<D::Database>),
}

impl<D: Dialect> Lease<D> {
    /// The connection. From this call until [`is_clean`](Self::is_clean), dropping the lease closes
    /// the connection.
    pub(crate) fn connection(&mut self) -> &mut Connection<D> {
        self.clean = false;
        match self.held.as_mut() {
            Some(Held::Own { connection: Some(connection), .. }) => connection,
            Some(Held::Pooled(connection)) => connection,
            _ => unreachable!("a lease holds its connection until it is dropped"),
        }
    }

    /// Marks everything that was sent as answered.
    pub(crate) fn is_clean(&mut self) {
        self.clean = true;
    }
}

impl<D: Dialect> Drop for Lease<D> {
    fn drop(&mut self) {
        match self.held.take() {
            Some(Held::Own { connection: Some(connection), asked, home, _place }) if self.clean => {
                home.idle.lock().push(Idle { connection, asked, since: Instant::now() });
            }
            // No other user of the pool may receive an answer that was meant for this lease.
            Some(Held::Pooled(connection)) if !self.clean => drop(connection.detach()),
            _ => {}
        }
    }
}

impl<D: Dialect> fmt::Debug for Lease<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("clean", &self.clean).finish_non_exhaustive()
    }
}
