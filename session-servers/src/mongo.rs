//! MongoDB: one server, and a replica set.

mod replica_set;
mod wire;

use std::env;
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bson::{Document, doc};

use crate::{Endpoint, Engine, LaunchError, Program, Server};

pub use replica_set::MongoReplicaSet;

const CACHE_SIZE: &str = "--wiredTigerCacheSizeGB";

/// A launched `mongod`.
pub type MongoServer = Server<Mongo>;

/// The path to which `scripts/test` unpacks the program, inside the user's cache directory.
const CACHED: &str = "session-servers/mongod-6.0.5/mongod";

/// Runs `mongod` on the loopback address, alone or as a member of a replica set, with any further
/// arguments.
///
/// ```no_run
/// # async fn example() -> Result<(), session_servers::LaunchError> {
/// use session_servers::mongo::Mongo;
///
/// let server = Mongo::new().args(["--setParameter", "ttlMonitorEnabled=false"]).start().await?;
/// # Ok(())
/// # }
/// ```
///
/// The program is the one that the variable `SESSION_MONGOD` names, else the `mongod` on `PATH`,
/// else the one that `scripts/test` has unpacked into `session-servers/mongod-6.0.5` under
/// `XDG_CACHE_HOME`, or under `~/.cache` if that is not set.
///
/// The server is pinged without a password, so it must not require one when it starts.
#[derive(Debug, Clone, Default)]
pub struct Mongo {
    replica_set: Option<String>,
    args: Vec<OsString>,
}

impl Mongo {
    /// A standalone server with the default configuration.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the server a member of the replica set with this name, which must be
    /// [initiated](MongoReplicaSet::initiate) after the start.
    #[must_use]
    pub fn replica_set(mut self, name: impl Into<String>) -> Self {
        self.replica_set = Some(name.into());
        self
    }

    /// Adds arguments for `mongod`.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Starts a server with this configuration.
    ///
    /// # Errors
    ///
    /// As for [`Server::launch`].
    pub async fn start(self) -> Result<MongoServer, LaunchError> {
        Server::launch(self).await
    }
}

impl Engine for Mongo {
    fn program(&self) -> Program {
        let program =
            Program::new("mongod", "scripts/test, which fetches it, or set SESSION_MONGOD to its path");
        let program = program.named_by("SESSION_MONGOD");
        match cache() {
            Some(cache) => program.or_at(cache.join(CACHED)),
            None => program,
        }
    }

    fn command_line(&self, data: &Path, addr: SocketAddr) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec!["--bind_ip".into(), addr.ip().to_string().into()];
        args.extend(["--port".into(), addr.port().to_string().into()]);
        args.extend(["--dbpath".into(), data.into(), "--nounixsocket".into()]);
        // The default cache takes half of the memory, for each of many servers.
        if !self.args.iter().any(|arg| arg == CACHE_SIZE) {
            args.extend([CACHE_SIZE.into(), "0.25".into()]);
        }
        // The first parameter limits how long a shutdown waits for clients to go elsewhere.
        for parameter in
            ["shutdownTimeoutMillisForSignaledShutdown=0", "diagnosticDataCollectionEnabled=false"]
        {
            args.extend(["--setParameter".into(), parameter.into()]);
        }
        if let Some(name) = &self.replica_set {
            args.extend(["--replSet".into(), name.into(), "--oplogSize".into(), "256".into()]);
        }
        args.extend(self.args.iter().cloned());
        args
    }

    /// The URL of this server alone, even if it is a member of a replica set.
    fn url(&self, addr: SocketAddr) -> String {
        format!("mongodb://{addr}/?directConnection=true")
    }

    async fn ping(&self, addr: SocketAddr) -> io::Result<()> {
        command(addr, &doc! { "ping": 1 }).await.map(drop)
    }

    async fn serves(&self, addr: SocketAddr, pid: u32) -> io::Result<bool> {
        let mut question = doc! { "serverStatus": 1 };
        for section in ["metrics", "wiredTiger", "tcmalloc", "locks", "repl"] {
            question.insert(section, 0);
        }
        let status = command(addr, &question).await?;
        Ok(status.get_i64("pid").is_ok_and(|serving| serving == i64::from(pid)))
    }
}

/// The server named by `SESSION_MONGO_URL`, or a launched standalone one.
///
/// # Errors
///
/// As for [`Server::launch`], and never for an external server.
pub async fn endpoint() -> Result<Endpoint<Mongo>, LaunchError> {
    Endpoint::find("SESSION_MONGO_URL", Mongo::new()).await
}

/// Sends one command to the database `admin`, over a new connection, and returns the reply.
///
/// # Errors
///
/// [`Other`](io::ErrorKind::Other) with the server's message if it refuses, otherwise the error of
/// the connection.
pub async fn command(addr: SocketAddr, command: &Document) -> io::Result<Document> {
    wire::ask(addr, command).await
}

fn cache() -> Option<PathBuf> {
    let directory = |name| env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    directory("XDG_CACHE_HOME").or_else(|| Some(directory("HOME")?.join(".cache")))
}
