use std::{any::Any, env, error::Error as _, fmt, time::Duration};

use session_servers::{
    LaunchError, mariadb::MariaDb, mongo::MongoReplicaSet, postgres::Postgres, redis::Redis,
};

use super::{Engine, version};
use crate::candidate::Place;

/// A server that is launched and runs until this is dropped, or an external one.
pub struct Server {
    /// The engine.
    pub engine: Engine,
    /// The URL for clients.
    pub url: String,
    /// The server's process, if this program launched it.
    pub pid: Option<u32>,
    /// The version that the server reports.
    pub version: String,
    /// A description of its tuning.
    pub tuning: String,
    durable: bool,
    _running: Box<dyn Any + Send + Sync>,
}

/// The tuning description of an external server.
const EXTERNAL: &str = "given by URL, as its owner has tuned it";

impl Server {
    /// Launches a server, or uses the one in the environment: `SESSION_REDIS_URL` and so on.
    ///
    /// If `durable`, each write is on disk when it is acknowledged. Otherwise a crash of the
    /// machine may lose about the last second, for all stores alike.
    ///
    /// # Errors
    ///
    /// The reason why there is no server.
    pub async fn start(engine: Engine, durable: bool) -> Result<Self, String> {
        let variable = format!("SESSION_{}_URL", engine.name().to_uppercase());
        let url = env::var(variable).ok().filter(|url| !url.is_empty() && engine.is_server());
        let mut server = match url {
            Some(url) => Self::new(engine, url, EXTERNAL.to_owned(), durable, None, ()),
            None => Self::launch(engine, durable).await.map_err(|error| {
                let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
                format!("{error}{source}")
            })?,
        };
        server.version = version::of(&server.place("version"))
            .await
            .map_err(|error| format!("{engine} does not answer: {error}"))?;
        Ok(server)
    }

    fn new(
        engine: Engine,
        url: String,
        tuning: String,
        durable: bool,
        pid: Option<u32>,
        running: impl Any + Send + Sync,
    ) -> Self {
        Self { engine, url, pid, version: String::new(), tuning, durable, _running: Box::new(running) }
    }

    async fn launch(engine: Engine, durable: bool) -> Result<Self, LaunchError> {
        let launched = |url, tuning: &[&str], pid| (url, tuning.join(" "), pid);
        let (url, tuning, pid, running): (_, _, _, Box<dyn Any + Send + Sync>) = match engine {
            Engine::Memory => return Ok(Self::new(engine, String::new(), String::new(), durable, None, ())),
            Engine::Sqlite => {
                let directory = tempfile::tempdir()
                    .map_err(|source| LaunchError::Io { attempt: "create a directory for SQLite", source })?;
                let synchronous = if durable { "full" } else { "normal" };
                let url = directory.path().display().to_string();
                let tuning = format!("write-ahead log, synchronous={synchronous}");
                return Ok(Self::new(engine, url, tuning, durable, None, directory));
            }
            Engine::Redis => {
                let sync = if durable { "always" } else { "everysec" };
                let args = ["--appendonly", "yes", "--appendfsync", sync];
                let server = Redis::new().args(args).start().await?;
                let (url, tuning, pid) = launched(server.url(), &args, server.pid());
                (url, tuning, pid, Box::new(server))
            }
            Engine::Postgres => {
                let commit = if durable { "synchronous_commit=on" } else { "synchronous_commit=off" };
                let args = ["-c", commit, "-c", "shared_buffers=1GB", "-c", "max_wal_size=4GB"];
                let server = Postgres::new().args(args).start().await?;
                let (url, tuning, pid) = launched(server.url(), &args, server.pid());
                (url, tuning, pid, Box::new(server))
            }
            Engine::Mysql => {
                let flush = format!("--innodb-flush-log-at-trx-commit={}", if durable { 1 } else { 2 });
                let args = [&*flush, "--innodb-buffer-pool-size=1G", "--innodb-log-file-size=1G"];
                let server = MariaDb::new().args(args).start().await?;
                let (url, tuning, pid) = launched(server.url(), &args, server.pid());
                (url, tuning, pid, Box::new(server))
            }
            Engine::Mongo => {
                let args = ["--wiredTigerCacheSizeGB", "1"];
                let set = MongoReplicaSet::start(1, &args, Duration::from_secs(10)).await?;
                // Each write is journaled, or the journal is written ten times a second.
                let concern = if durable { "w=majority&journal=true" } else { "w=1&journal=false" };
                let url = format!("{}&{concern}", set.url());
                let pid = set.members().first().and_then(session_servers::Server::pid);
                (url, format!("replica set of one, {} {concern}", args.join(" ")), pid, Box::new(set))
            }
        };
        Ok(Self { engine, url, pid, version: String::new(), tuning, durable, _running: running })
    }

    /// A place on this server.
    pub fn place(&self, name: &str) -> Place {
        Place {
            engine: self.engine,
            url: self.url.clone(),
            name: name.to_owned(),
            durable: self.durable,
            purges_itself: true,
        }
    }

    /// Whether this program launched the server, and ends it.
    pub fn is_launched(&self) -> bool {
        self.pid.is_some()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may contain a password.
        f.debug_struct("Server").field("engine", &self.engine).field("pid", &self.pid).finish_non_exhaustive()
    }
}
