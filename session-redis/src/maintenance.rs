use std::{
    collections::HashSet,
    hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState},
    sync::Arc,
};

use redis::{Value, cmd};
use session_core::{Cursor, Error, ErrorKind, Maintenance, Operation, Page, Result, SessionKey, async_trait};
use tokio::time::Instant;

use crate::{
    backend::RedisBackend,
    core::Core,
    errors::unexpected,
    node::Node,
    read::record,
    request::{Request, Route},
};

/// The maximum number of keys that one step of a listing examines.
const MAX_PAGE: usize = 1_000;

/// The number of keys that one step of a count examines.
const COUNT_STEP: usize = 1_000;

/// Listings go through the servers one after another, by `SCAN`.
///
/// `SCAN` returns every key that exists throughout the scan. A cursor is a position in the table of
/// one server. If the set of servers changes, the listing begins again.
#[async_trait]
impl Maintenance for RedisBackend {
    async fn page(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        self.0.page(cursor, limit.clamp(1, MAX_PAGE)).await
    }

    async fn count(&self) -> Result<u64> {
        self.0.count().await
    }

    /// The servers free expired records by themselves, some at a time; in a large database, a few
    /// records may wait for minutes. This call scans all keys until the deadline, which makes the
    /// servers free expired records. They do not report how many, so the answer is zero.
    async fn purge_expired(&self, _limit: usize) -> Result<u64> {
        self.0.look_at_all().await?;
        Ok(0)
    }
}

/// The position of a listing: a hash of the servers when it began, the current server, and the
/// `SCAN` cursor there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct At {
    spread: u64,
    server: u32,
    scan: u64,
}

impl At {
    fn to_cursor(self) -> Cursor {
        let mut bytes = Vec::with_capacity(20);
        bytes.extend(self.spread.to_be_bytes());
        bytes.extend(self.server.to_be_bytes());
        bytes.extend(self.scan.to_be_bytes());
        Cursor::new(bytes)
    }

    fn from_cursor(cursor: &Cursor) -> Result<Self> {
        let bytes = cursor.as_bytes();
        let (Some((spread, rest)), 20) = (bytes.split_first_chunk(), bytes.len()) else {
            return Err(not_ours());
        };
        let Some((server, rest)) = rest.split_first_chunk() else { return Err(not_ours()) };
        let Some(scan) = rest.first_chunk() else { return Err(not_ours()) };
        Ok(Self {
            spread: u64::from_be_bytes(*spread),
            server: u32::from_be_bytes(*server),
            scan: u64::from_be_bytes(*scan),
        })
    }
}

fn not_ours() -> Error {
    Error::new(ErrorKind::Config, Operation::Page).because("this cursor was not made by this store")
}

impl Core {
    pub(crate) async fn ping(&self, operation: Operation) -> Result<()> {
        let until = self.until();
        let requests = self
            .topology
            .primaries(operation)?
            .into_iter()
            .map(|node| Request::question(Route::Node(node), cmd("PING")));
        for answer in self.many(operation, requests.collect(), false, until).await {
            answer?;
        }
        Ok(())
    }

    async fn page(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        let operation = Operation::Page;
        let at = cursor.as_ref().map(At::from_cursor).transpose()?;
        let servers = self.topology.primaries(operation)?;
        let spread = spread(&servers);
        let at = at.filter(|at| at.spread == spread && (at.server as usize) < servers.len());
        let at = at.unwrap_or(At { spread, server: 0, scan: 0 });
        let server = &servers[at.server as usize];
        let until = self.until();
        let (scan, keys) = self.scan(operation, server, at.scan, limit, until).await?;
        let requests =
            keys.iter().map(|key| Request { to: Route::Node(Arc::clone(server)), ..self.reading(key) });
        let answers = self.many(operation, requests.collect(), true, until).await;
        let mut records = Vec::with_capacity(keys.len());
        for (key, answer) in keys.into_iter().zip(answers) {
            match answer.and_then(|answer| record(operation, answer.value, answer.now)) {
                Ok(Some(record)) => records.push((key, record)),
                Err(error) if error.is_transient() => return Err(error),
                // Unreadable records are left out.
                Ok(None) | Err(_) => {}
            }
        }
        let next = if scan > 0 {
            Some(At { scan, ..at })
        } else {
            let server = at.server + 1;
            ((server as usize) < servers.len()).then_some(At { server, scan: 0, ..at })
        };
        Ok(Page { records, next: next.map(At::to_cursor) })
    }

    async fn count(&self) -> Result<u64> {
        let operation = Operation::Count;
        let servers = self.topology.primaries(operation)?;
        // `SCAN` can return a key twice. Hashes of eight bytes collide for two of ten million keys
        // once in some 300,000 counts (n² / 2⁶⁵).
        let (mut met, hashes) = (HashSet::new(), RandomState::new());
        for server in &servers {
            let mut scan = 0;
            loop {
                let (next, keys) = self.scan(operation, server, scan, COUNT_STEP, self.until()).await?;
                met.extend(keys.iter().map(|key| hashes.hash_one(key)));
                if next == 0 {
                    break;
                }
                scan = next;
            }
        }
        Ok(met.len() as u64)
    }

    /// Scans all keys, because a server frees the expired ones that it finds.
    async fn look_at_all(&self) -> Result<()> {
        let until = self.until();
        for server in &self.topology.primaries(Operation::Purge)? {
            let mut scan = 0;
            loop {
                let (next, _) = self.scan(Operation::Purge, server, scan, COUNT_STEP, until).await?;
                if next == 0 {
                    break;
                }
                if Instant::now() + self.deadline / 4 > until {
                    return Ok(());
                }
                scan = next;
            }
        }
        Ok(())
    }

    /// One step of a listing: the next `SCAN` cursor, zero at the end, and the sessions found. None
    /// has expired.
    async fn scan(
        &self,
        operation: Operation,
        server: &Arc<Node>,
        from: u64,
        limit: usize,
        until: Instant,
    ) -> Result<(u64, Vec<SessionKey>)> {
        let mut command = cmd("SCAN");
        command.arg(from).arg("MATCH").arg(format!("{}*", self.namespace.sessions)).arg("COUNT").arg(limit);
        let request = Request::question(Route::Node(Arc::clone(server)), command);
        let answers = self.many(operation, vec![request], false, until).await;
        let answer = answers.into_iter().next().ok_or_else(|| unexpected(operation, "there"))??;
        let Value::Array(parts) = answer.value else { return Err(unexpected(operation, "a list")) };
        let [Value::BulkString(next), Value::Array(keys)] = &parts[..] else {
            return Err(unexpected(operation, "a place and a list"));
        };
        let next = String::from_utf8_lossy(next).parse().map_err(|_| unexpected(operation, "a place"))?;
        let ours = keys.iter().filter_map(|key| match key {
            Value::BulkString(key) => self.namespace.parse_session(key),
            _ => None,
        });
        Ok((next, ours.collect()))
    }
}

/// A hash of the set of servers.
fn spread(servers: &[Arc<Node>]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for server in servers {
        server.name.hash(&mut hasher);
    }
    hasher.finish()
}
