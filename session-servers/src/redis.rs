//! Redis: one server, a cluster, and servers with sentinels.

mod cluster;
mod sentinel;

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::until::until;
use crate::{Endpoint, Engine, LaunchError, Program, Server};

pub use cluster::{RedisCluster, RedisClusterBuilder};
pub use sentinel::{RedisSentinels, Sentinel, SentinelServer};

/// Longer than any reply that is read here. Limits the read if the server is not Redis.
const LONGEST_REPLY: u64 = 64 * 1024;

/// A launched `redis-server`.
pub type RedisServer = Server<Redis>;

/// Runs `redis-server` on the loopback address, without snapshots, and with any further arguments.
///
/// ```no_run
/// # async fn example() -> Result<(), session_servers::LaunchError> {
/// use session_servers::redis::Redis;
///
/// let durable = Redis::new().args(["--appendonly", "yes", "--appendfsync", "always"]).start().await?;
/// # Ok(())
/// # }
/// ```
///
/// The server is pinged without a password, so it must not require one when it starts.
#[derive(Debug, Clone, Default)]
pub struct Redis {
    args: Vec<OsString>,
}

impl Redis {
    /// The default configuration.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds arguments for `redis-server`. They come last, so they override the defaults.
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
    pub async fn start(self) -> Result<RedisServer, LaunchError> {
        Server::launch(self).await
    }
}

impl Engine for Redis {
    fn program(&self) -> Program {
        Program::new("redis-server", "apt-get install redis-server")
    }

    fn command_line(&self, data: &Path, addr: SocketAddr) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec!["--bind".into(), addr.ip().to_string().into()];
        args.extend(["--port".into(), addr.port().to_string().into()]);
        args.extend(["--dir".into(), data.into(), "--save".into(), "".into()]);
        args.extend(self.args.iter().cloned());
        args
    }

    fn url(&self, addr: SocketAddr) -> String {
        format!("redis://{addr}")
    }

    async fn ping(&self, addr: SocketAddr) -> io::Result<()> {
        match ask(addr, "PING").await?.as_str() {
            "PONG" => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    async fn serves(&self, addr: SocketAddr, pid: u32) -> io::Result<bool> {
        // While the server loads its data, it answers `INFO` and refuses `PING`.
        self.ping(addr).await?;
        let info = ask(addr, "INFO server").await?;
        Ok(info.lines().any(|line| line == format!("process_id:{pid}")))
    }
}

/// The server named by `SESSION_REDIS_URL`, or a launched one.
///
/// # Errors
///
/// As for [`Server::launch`], and never for an external server.
pub async fn endpoint() -> Result<Endpoint<Redis>, LaunchError> {
    Endpoint::find("SESSION_REDIS_URL", Redis::new()).await
}

/// Sends one inline command over a new connection. An error reply becomes an error.
async fn ask(addr: SocketAddr, command: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(format!("{command}\r\n").as_bytes()).await?;
    let mut reply = BufReader::new(stream.take(LONGEST_REPLY));
    let mut line = String::new();
    reply.read_line(&mut line).await?;
    let line = line.trim_end();
    if line.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if let Some(text) = line.strip_prefix('+') {
        return Ok(text.to_owned());
    }
    let length =
        line.strip_prefix('$').and_then(|length| length.parse().ok()).ok_or_else(|| unexpected(line))?;
    let mut text = String::new();
    if reply.take(length).read_to_string(&mut text).await? as u64 == length {
        Ok(text)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn unexpected(reply: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("unexpected reply {reply:?}"))
}
