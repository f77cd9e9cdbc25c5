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

/// For how long the answer counts that a connection works and leads to a primary; used or not, it is asked again before its
/// next use. A server that becomes read-only while its connections stay is therefore left after so long, and the read
/// that is under way.
const TRUST: Duration = Duration::from_secs(1);

/// After how long a connection that nobody used is closed.
const TOO_LONG: Duration = Duration::from_mins(5);

/// The ways to the server.
pub(crate) enum Connections<D: Dialect> {
    /// Connections of our own. They are asked once a second; a pool would ask before and after each use.
    Own(Arc<Own<D>>),
    /// A pool that belongs to the application.
    Pool(Pool<D::Database>),
}

pub(crate) struct Own<D: Dialect> {
    idle: Mutex<Vec<Idle<D>>>,
    /// How often something happened after which no connection is to be used unasked.
    doubts: AtomicU64,
    free: Arc<Semaphore>,
    places: u32,
}

struct Idle<D: Dialect> {
    connection: Connection<D>,
    asked: Asked,
    since: Instant,
}

/// When a connection was asked, and how many doubts there had been.
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

    /// A connection for one operation.
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
                    // What does not answer as it should is closed, and not given back.
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

    /// Has all connections asked before they are used again, because one of them was lost, or led to a server that cannot serve.
    pub(crate) fn doubt(&self) {
        if let Self::Own(own) = self {
            own.doubts.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Closes what is ours, when those who use it are done.
    pub(crate) async fn close(&self) {
        let Self::Own(own) = self else { return };
        // Only this closes it, and nobody gets a place afterwards.
        let Ok(all) = own.free.acquire_many(own.places).await else { return };
        all.forget();
        own.free.close();
        let idle = std::mem::take(&mut *own.idle.lock());
        for Idle { connection, .. } in idle {
            // The server notices by itself if this does not reach it.
            let _ = sqlx::Connection::close(connection).await;
        }
    }

    /// Closes connections that nobody needs any more.
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
    /// What is to be remembered of a connection that is asked from now on.
    fn now(&self) -> Asked {
        Asked { at: Instant::now(), doubts: self.doubts.load(Ordering::Relaxed) }
    }

    /// The connection that was used last, so that few are kept busy rather than many idle. One that fails is closed.
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
    /// Whether nothing is under way on it.
    clean: bool,
}

enum Held<D: Dialect> {
    Own { connection: Option<Connection<D>>, asked: Asked, home: Arc<Own<D>>, _place: OwnedSemaphorePermit },
    Pooled(PoolConnection<D::Database>),
}

impl<D: Dialect> Lease<D> {
    /// The connection. Until [`is_clean`](Self::is_clean) is said, dropping the lease closes it.
    pub(crate) fn connection(&mut self) -> &mut Connection<D> {
        self.clean = false;
        match self.held.as_mut() {
            Some(Held::Own { connection: Some(connection), .. }) => connection,
            Some(Held::Pooled(connection)) => connection,
            _ => unreachable!("a lease holds its connection until it is dropped"),
        }
    }

    /// What was sent has been answered.
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
            // Nobody else gets an answer that was meant for us.
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
