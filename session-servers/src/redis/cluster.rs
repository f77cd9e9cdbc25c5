//! A Redis Cluster.

use std::io;
use std::time::Duration;

use super::{Redis, RedisServer, ask, until};
use crate::LaunchError;
use crate::ports::free_addr;

/// The number of slots of a cluster.
const SLOTS: usize = 16_384;
/// How many times the launch is attempted, in case the port of a node's cluster bus is taken.
const ATTEMPTS: usize = 3;

/// A launched cluster: three primaries, each with a third of the slots, and a replica of each.
///
/// The nodes are ordinary servers, which can be frozen, killed and restarted.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    primaries: usize,
}

/// How to launch a [`RedisCluster`].
#[derive(Debug, Clone)]
#[must_use]
pub struct RedisClusterBuilder {
    args: Vec<String>,
    replicas: bool,
    node_timeout: Duration,
}

impl Default for RedisClusterBuilder {
    fn default() -> Self {
        Self { args: Vec::new(), replicas: true, node_timeout: Duration::from_secs(15) }
    }
}

impl RedisClusterBuilder {
    /// Adds arguments for each `redis-server`.
    pub fn args<A: Into<String>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Launches only primaries, so that no node takes over from a broken one.
    pub fn without_replicas(mut self) -> Self {
        self.replicas = false;
        self
    }

    /// The time after which a silent node counts as failed. Default: 15 seconds, as in Redis.
    pub fn node_timeout(mut self, timeout: Duration) -> Self {
        self.node_timeout = timeout;
        self
    }

    /// Launches the nodes and returns when all agree that the cluster works.
    ///
    /// # Errors
    ///
    /// As for [`Server::launch`](crate::Server::launch), and [`Io`](LaunchError::Io) if the nodes
    /// do not form a cluster within a minute.
    pub async fn start(self) -> Result<RedisCluster, LaunchError> {
        let mut attempt = 1;
        loop {
            match self.launch().await {
                Err(LaunchError::Failed { .. }) if attempt < ATTEMPTS => attempt += 1,
                done => return done,
            }
        }
    }

    async fn launch(&self) -> Result<RedisCluster, LaunchError> {
        let primaries = 3;
        let (mut nodes, mut buses) = (Vec::new(), Vec::new());
        for _ in 0..if self.replicas { 2 * primaries } else { primaries } {
            let bus = free_addr().map_err(LaunchError::io("find a free port"))?.port().to_string();
            let timeout = self.node_timeout.as_millis().to_string();
            let server = Redis::new()
                .args([
                    "--cluster-enabled",
                    "yes",
                    "--cluster-port",
                    &bus,
                    "--cluster-node-timeout",
                    &timeout,
                ])
                .args(["--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"])
                .args(&self.args)
                .start()
                .await?;
            nodes.push(server);
            buses.push(bus);
        }
        let cluster = RedisCluster { nodes, primaries };
        cluster.join(&buses).await?;
        Ok(cluster)
    }
}

impl RedisCluster {
    /// Launches a cluster with the defaults.
    ///
    /// # Errors
    ///
    /// As for [`RedisClusterBuilder::start`].
    pub async fn start() -> Result<Self, LaunchError> {
        RedisClusterBuilder::default().start().await
    }

    /// A builder with the defaults.
    pub fn builder() -> RedisClusterBuilder {
        RedisClusterBuilder::default()
    }

    /// All nodes: first those that were primaries at the launch, then the replica of each.
    #[must_use]
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The URL for clients, which names the first nodes.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<_> =
            self.nodes.iter().take(self.primaries).map(|node| node.addr().to_string()).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// Waits until all nodes that answer agree that every slot is served.
    ///
    /// # Errors
    ///
    /// [`Io`](LaunchError::Io) if they do not agree within a minute.
    pub async fn wait_until_ready(&self) -> Result<(), LaunchError> {
        until("wait for the cluster", || async move {
            for node in &self.nodes {
                if node.pid().is_some()
                    && !ask(node.addr(), "CLUSTER INFO").await?.contains("cluster_state:ok")
                {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
    }

    /// Makes each node announce to clients the port at the same index in `ports`, such as that of a
    /// [`Proxy`](crate::Proxy), until the node is restarted. Returns when all nodes know the ports.
    ///
    /// # Errors
    ///
    /// [`Io`](LaunchError::Io) if they do not know them within a minute.
    pub async fn announce(&self, ports: &[u16]) -> Result<(), LaunchError> {
        for (node, port) in self.nodes.iter().zip(ports) {
            self.tell(node, &format!("CONFIG SET cluster-announce-port {port}")).await?;
        }
        until("wait for the announced ports", || async move {
            for node in &self.nodes {
                let known = ask(node.addr(), "CLUSTER NODES").await?;
                if !ports.iter().all(|port| known.contains(&format!(":{port}@"))) {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
    }

    async fn join(&self, buses: &[String]) -> Result<(), LaunchError> {
        let share = SLOTS / self.primaries;
        for (at, node) in self.nodes.iter().enumerate() {
            self.tell(node, &format!("CLUSTER SET-CONFIG-EPOCH {}", at + 1)).await?;
            if at < self.primaries {
                let last = if at + 1 == self.primaries { SLOTS } else { (at + 1) * share } - 1;
                self.tell(node, &format!("CLUSTER ADDSLOTSRANGE {} {last}", at * share)).await?;
            }
            let first = &self.nodes[0];
            self.tell(node, &format!("CLUSTER MEET 127.0.0.1 {} {}", first.port(), buses[0])).await?;
        }
        let all = self.nodes.len();
        until("wait for the nodes to meet", || async move {
            for node in &self.nodes {
                let known = ask(node.addr(), "CLUSTER NODES").await?;
                let met = known.lines().filter(|line| !line.contains("handshake")).count();
                if met < all {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await?;
        let (primaries, replicas) = self.nodes.split_at(self.primaries);
        for (replica, primary) in replicas.iter().zip(primaries) {
            let id = ask(primary.addr(), "CLUSTER MYID")
                .await
                .map_err(LaunchError::io("ask a node for its id"))?;
            self.tell(replica, &format!("CLUSTER REPLICATE {id}")).await?;
        }
        until("wait for the replicas", || async move {
            for replica in replicas {
                if !ask(replica.addr(), "INFO replication").await?.contains("master_link_status:up") {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await?;
        // All nodes must know all replicas. Otherwise a failover has to wait for that.
        until("wait for the roles to be known", || async move {
            for node in &self.nodes {
                let known = ask(node.addr(), "CLUSTER NODES").await?;
                if known.lines().filter(|line| line.contains("slave")).count() < replicas.len() {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await?;
        self.wait_until_ready().await
    }

    async fn tell(&self, node: &RedisServer, command: &str) -> Result<(), LaunchError> {
        match ask(node.addr(), command).await {
            Ok(reply) if reply == "OK" => Ok(()),
            Ok(reply) => Err(LaunchError::io("set up the cluster")(io::Error::other(reply))),
            Err(error) => Err(LaunchError::io("set up the cluster")(error)),
        }
    }
}
