use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fmt, io};

use session_core::{
    DeleteOutcome, Error, ErrorKind, Expected, Operation, Record, Result, SessionKey, SessionStore, Ttl,
    When, Write, WriteOutcome, async_trait,
};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::connection::Connection;
use crate::record::{Stored, expiry};

/// The maximum data length. With its key and metadata, a record must fit into an item of Memcached:
/// 1 MiB by default.
const MAX_DATA_LEN: usize = 1_000_000;

/// A session store in one Memcached server.
///
/// ```
/// use std::time::Duration;
/// use session_memcached::MemcachedStore;
///
/// let store = MemcachedStore::new("127.0.0.1:11211", "web", Duration::from_secs(1))?;
/// # Ok::<(), session_core::Error>(())
/// ```
pub struct MemcachedStore {
    addr: String,
    namespace: String,
    deadline: Duration,
    /// Serves one call at a time. `None` before the first call, and after one that failed.
    connection: Mutex<Option<Connection>>,
}

/// What to do with the value under a key.
enum Step {
    Nothing,
    Put(Stored),
    Remove,
}

impl MemcachedStore {
    /// Creates a store on the server at `addr` (`host:port`).
    ///
    /// Its keys begin with `namespace`, and its operations take at most `deadline`. It connects on
    /// first use.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] unless the namespace is visible ASCII of at most 150 bytes.
    pub fn new(addr: impl Into<String>, namespace: impl Into<String>, deadline: Duration) -> Result<Self> {
        let (addr, namespace, connection) = (addr.into(), namespace.into(), Mutex::default());
        // A key of Memcached has at most 250 bytes. A colon and the session's key take 67 of them.
        if namespace.len() > 150 || !namespace.bytes().all(|byte| byte.is_ascii_graphic()) {
            let error = Error::new(ErrorKind::Config, Operation::Connect);
            return Err(error.because("a namespace is visible ASCII, at most 150 bytes"));
        }
        Ok(Self { addr, namespace, deadline, connection })
    }

    fn name(&self, key: &SessionKey) -> String {
        format!("{}:{key}", self.namespace)
    }

    /// Takes the connection out of its place. A call puts it back after it has read its last reply.
    async fn take(&self, place: &mut Option<Connection>) -> io::Result<Connection> {
        match place.take().filter(Connection::is_open) {
            Some(connection) => Ok(connection),
            None => Connection::open(&self.addr).await,
        }
    }

    /// Reads the value under `key` and does what `decide` returns, in one atomic step. If the value
    /// changes in between, starts again.
    ///
    /// Uses one connection for all attempts: a server that was restarted meanwhile could give
    /// another record the same token.
    async fn change<T>(
        &self,
        operation: Operation,
        key: &SessionKey,
        decide: impl Fn(Result<Option<Stored>, ErrorKind>) -> Result<(Step, T), ErrorKind>,
    ) -> Result<T> {
        let (name, sent) = ([self.name(key)], AtomicBool::new(false));
        let changing = async {
            let mut place = self.connection.lock().await;
            let mut connection = self.take(&mut place).await?;
            let outcome = loop {
                let (record, cas) = connection.get_many(&name).await?.pop().unwrap_or((Ok(None), None));
                if matches!(&record, Ok(Some(stored)) if stored.left().is_zero()) {
                    // Removed before it is reported absent: a touch in flight must not revive it.
                    connection.remove(&name[0], cas).await?;
                    continue;
                }
                let (step, outcome) = match decide(record) {
                    Ok(decided) => decided,
                    Err(kind) => break Err(Error::new(kind, operation)),
                };
                sent.store(true, Ordering::Relaxed);
                let done = match step {
                    Step::Nothing => true,
                    Step::Put(stored) => connection.put(&name[0], &stored, cas).await?,
                    Step::Remove => connection.remove(&name[0], cas).await?,
                };
                sent.store(false, Ordering::Relaxed);
                if done {
                    break Ok(outcome);
                }
            };
            *place = Some(connection);
            Ok(outcome)
        };
        self.in_time(operation, &sent, changing).await?
    }

    /// `sent` is true while a change is in flight: without an answer, it may be executed, now or
    /// later.
    async fn in_time<T>(
        &self,
        operation: Operation,
        sent: &AtomicBool,
        work: impl Future<Output = io::Result<T>>,
    ) -> Result<T> {
        let done = timeout(self.deadline, work).await.unwrap_or_else(|late| Err(late.into()));
        done.map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull => Error::new(ErrorKind::Full, operation).with_source(error),
            _ => Error::unavailable(operation, sent.load(Ordering::Relaxed)).with_source(error),
        })
    }
}

/// Shows neither data nor owners (promise 7).
impl fmt::Debug for MemcachedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemcachedStore").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

#[async_trait]
impl SessionStore for MemcachedStore {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.change(Operation::Read, key, |live| Ok((Step::Nothing, live?.as_ref().map(Stored::record))))
            .await
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        if write.data.len() > MAX_DATA_LEN {
            return Err(Error::too_large(Operation::Write, write.data.len(), MAX_DATA_LEN));
        }
        self.change(Operation::Write, key, |live| {
            let live = live?;
            let version = live.as_ref().map(|live| live.version);
            let holds = match when {
                When::Version(expected) => version == Some(expected),
                _ => when == When::Any || version.is_none(),
            };
            if version == Some(write.version) {
                return Ok((Step::Nothing, WriteOutcome::Written));
            }
            if !holds {
                return Ok((Step::Nothing, WriteOutcome::Conflict(live.as_ref().map(Stored::record))));
            }
            let Write { data, version, ttl, owner } = write.clone();
            let owner = owner.apply(live.and_then(|live| live.owner));
            let stored = Stored { version, expires_at: expiry(ttl), owner, data };
            Ok((Step::Put(stored), WriteOutcome::Written))
        })
        .await
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        let prolonged = |live| (Step::Put(Stored { expires_at: expiry(ttl), ..live }), true);
        self.change(Operation::Touch, key, |live| Ok(live?.map_or((Step::Nothing, false), prolonged))).await
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        self.change(Operation::Delete, key, |live| match (live, expected) {
            (Ok(None), _) => Ok((Step::Nothing, DeleteOutcome::Absent)),
            (Err(kind), Expected::Version(_)) => Err(kind),
            (Ok(Some(live)), Expected::Version(version)) if live.version != version => {
                Ok((Step::Nothing, DeleteOutcome::Conflict))
            }
            _ => Ok((Step::Remove, DeleteOutcome::Deleted)),
        })
        .await
    }

    /// Reads in one round trip, and more for each expired record.
    async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        let names: Vec<_> = keys.iter().map(|key| self.name(key)).collect();
        let reading = async {
            let mut place = self.connection.lock().await;
            let mut connection = self.take(&mut place).await?;
            let found = connection.get_many(&names).await?;
            *place = Some(connection);
            Ok(found)
        };
        let found = match self.in_time(Operation::Read, &AtomicBool::new(false), reading).await {
            Ok(found) => found,
            Err(error) => return vec![Err(error); keys.len()],
        };
        let mut results = Vec::with_capacity(keys.len());
        for (key, (record, _)) in keys.iter().zip(found) {
            results.push(match record {
                Ok(Some(stored)) if stored.left().is_zero() => self.read(key).await,
                Ok(live) => Ok(live.as_ref().map(Stored::record)),
                Err(kind) => Err(Error::new(kind, Operation::Read)),
            });
        }
        results
    }

    fn max_data_len(&self) -> usize {
        MAX_DATA_LEN
    }
}
