//! A primary, a replica, and the sentinels that monitor them.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::{Redis, RedisServer, ask, until};
use crate::{Engine, LaunchError, Program, Server};

/// A launched sentinel.
pub type SentinelServer = Server<Sentinel>;

/// Runs `redis-server` as a sentinel. The servers to monitor are configured after its start.
#[derive(Debug, Clone, Default)]
pub struct Sentinel;

/// The name under which the sentinels monitor the servers.
const SERVICE: &str = "mymaster";

const SENTINELS: usize = 3;

/// A launched primary with a replica, and three sentinels of which two must agree to fail over.
#[derive(Debug)]
pub struct RedisSentinels {
    servers: Vec<RedisServer>,
    sentinels: Vec<SentinelServer>,
}

impl Engine for Sentinel {
    fn program(&self) -> Program {
        Redis::new().program()
    }

    /// Also creates the configuration file: a sentinel keeps its state in it and does not start
    /// without it.
    fn command_line(&self, data: &Path, addr: SocketAddr) -> Vec<OsString> {
        let file = data.join("sentinel.conf");
        // If the file cannot be created, the sentinel reports that in its log.
        let _ = File::options().create(true).append(true).open(&file);
        let mut args: Vec<OsString> = vec![file.into(), "--sentinel".into()];
        args.extend([
            "--bind".into(),
            addr.ip().to_string().into(),
            "--port".into(),
            addr.port().to_string().into(),
        ]);
        args.extend(["--dir".into(), data.into()]);
        args
    }

    fn url(&self, addr: SocketAddr) -> String {
        format!("redis+sentinel://{addr}/{SERVICE}")
    }

    async fn ping(&self, addr: SocketAddr) -> io::Result<()> {
        Redis::new().ping(addr).await
    }

    async fn serves(&self, addr: SocketAddr, pid: u32) -> io::Result<bool> {
        Redis::new().serves(addr, pid).await
    }
}

impl RedisSentinels {
    /// Launches two servers with these arguments, and three sentinels. Returns when the sentinels
    /// know each other and the replica.
    ///
    /// The sentinels replace a primary that is silent for `down_after`.
    ///
    /// # Errors
    ///
    /// As for [`Server::launch`], and [`Io`](LaunchError::Io) if they do not find each other within
    /// a minute.
    pub async fn start(args: &[&str], down_after: Duration) -> Result<Self, LaunchError> {
        let primary = Redis::new().args(args).start().await?;
        let port = primary.port().to_string();
        let replica = Redis::new()
            .args(["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"])
            .args(args)
            .start()
            .await?;
        let watched = primary.port();
        Self::watch(vec![primary, replica], watched, down_after).await
    }

    /// Launches sentinels for one server without a replica. They and the clients reach it at
    /// `port`, such as the port of a [`Proxy`](crate::Proxy).
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start).
    pub async fn for_one(server: RedisServer, port: u16, down_after: Duration) -> Result<Self, LaunchError> {
        Self::watch(vec![server], port, down_after).await
    }

    async fn watch(servers: Vec<RedisServer>, port: u16, down_after: Duration) -> Result<Self, LaunchError> {
        let mut sentinels = Vec::new();
        for _ in 0..SENTINELS {
            let sentinel = Server::launch(Sentinel).await?;
            for command in [
                format!("SENTINEL MONITOR {SERVICE} 127.0.0.1 {port} 2"),
                format!("SENTINEL SET {SERVICE} down-after-milliseconds {}", down_after.as_millis()),
                format!("SENTINEL SET {SERVICE} failover-timeout 5000"),
            ] {
                let told = ask(sentinel.addr(), &command).await;
                told.map_err(LaunchError::io("tell a sentinel what to look after"))?;
            }
            sentinels.push(sentinel);
        }
        let launched = Self { servers, sentinels };
        launched.until_all_known().await?;
        Ok(launched)
    }

    async fn until_all_known(&self) -> Result<(), LaunchError> {
        let replicas = &*format!("slaves={}", self.servers.len() - 1);
        if let [_, replica] = &self.servers[..] {
            until("wait for the replica", || async move {
                Ok(ask(replica.addr(), "INFO replication").await?.contains("master_link_status:up"))
            })
            .await?;
        }
        until("wait for the sentinels", || async move {
            for sentinel in &self.sentinels {
                let known = ask(sentinel.addr(), "INFO sentinel").await?;
                if !["status=ok", replicas, "sentinels=3"].iter().all(|word| known.contains(word)) {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
    }

    /// The server that was the primary at the launch, then its replica if there is one.
    #[must_use]
    pub fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// The sentinels.
    #[must_use]
    pub fn sentinels(&self) -> &[SentinelServer] {
        &self.sentinels
    }

    /// The URL for clients, which names all sentinels.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.sentinels.iter().map(|sentinel| sentinel.addr().to_string()).collect();
        format!("redis+sentinel://{}/{SERVICE}", hosts.join(","))
    }
}
