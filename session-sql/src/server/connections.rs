use std::{fmt, sync::Arc, time::Duration};

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

/// After how long a connection that nobody used is asked whether it still works, before it is used.
const IDLE: Duration = Duration::from_secs(1);

/// After how long a connection that nobody used is closed.
const TOO_LONG: Duration = Duration::from_mins(5);

/// The ways to the server.
pub(crate) enum Connections<D: Dialect> {
    /// Connections of our own. They are asked for a sign of life only when they were idle; a pool would ask before and after each use.
    Own(Arc<Own<D>>),
    /// A pool that belongs to the application.
    Pool(Pool<D::Database>),
}

pub(crate) struct Own<D: Dialect> {
    idle: Mutex<Vec<(Connection<D>, Instant)>>,
    free: Arc<Semaphore>,
    places: u32,
}

impl<D: Dialect> Connections<D> {
    pub(crate) fn own(places: usize) -> Self {
        Self::Own(Arc::new(Own {
            idle: Mutex::default(),
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
                let connection = pool.acquire().await.map_err(unsent)?;
                return Ok(Lease { held: Some(Held::Pooled(connection)), clean: true });
            }
        };
        let closed = |_| Error::new(session_core::ErrorKind::Closed, operation);
        let place = Arc::clone(&own.free).acquire_owned().await.map_err(closed)?;
        let connection = match own.working().await {
            Some(connection) => connection,
            None => dialect.open().await.map_err(unsent)?,
        };
        let held = Held::Own { connection: Some(connection), home: Arc::clone(own), _place: place };
        Ok(Lease { held: Some(held), clean: true })
    }

    /// Closes what is ours, when those who use it are done.
    pub(crate) async fn close(&self) {
        let Self::Own(own) = self else { return };
        // Only this closes it, and nobody gets a place afterwards.
        let Ok(all) = own.free.acquire_many(own.places).await else { return };
        all.forget();
        own.free.close();
        let idle = std::mem::take(&mut *own.idle.lock());
        for (connection, _) in idle {
            // The server notices by itself if this does not reach it.
            let _ = sqlx::Connection::close(connection).await;
        }
    }

    /// Closes connections that nobody needs any more.
    pub(crate) async fn shrink(&self) {
        let Self::Own(own) = self else { return };
        let unused =
            own.idle.lock().extract_if(.., |(_, since)| since.elapsed() > TOO_LONG).collect::<Vec<_>>();
        for (connection, _) in unused {
            let _ = sqlx::Connection::close(connection).await;
        }
    }
}

impl<D: Dialect> Own<D> {
    /// The connection that was used last, so that few are kept busy rather than many idle.
    async fn working(&self) -> Option<Connection<D>> {
        loop {
            let (mut connection, since) = self.idle.lock().pop()?;
            if since.elapsed() < IDLE || D::ping(&mut connection).await.is_ok() {
                return Some(connection);
            }
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
    Own { connection: Option<Connection<D>>, home: Arc<Own<D>>, _place: OwnedSemaphorePermit },
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
            Some(Held::Own { connection: Some(connection), home, _place }) if self.clean => {
                home.idle.lock().push((connection, Instant::now()));
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
