//! A Galera cluster. Each server takes writes, and a server without a majority serves nothing.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use super::{MariaDb, MariaDbServer, wire};
use crate::ports::free_addr;
use crate::until::until;
use crate::{LaunchError, Server};

/// The path of the library that makes a server a cluster node, as installed by the package.
const PROVIDER: &str = "/usr/lib/galera/libgalera_smm.so";

/// A launched cluster of two nodes. The second only votes, and keeps no data.
///
/// When the second is killed, the first has no majority, and refuses all queries until
/// [`bootstrap`](Self::bootstrap).
#[derive(Debug)]
pub struct Galera {
    node: MariaDbServer,
    voter: MariaDbServer,
}

/// Checks that the library that makes a server a cluster node is installed.
///
/// # Errors
///
/// [`NotInstalled`](LaunchError::NotInstalled) if not.
pub fn provider() -> Result<(), LaunchError> {
    if Path::new(PROVIDER).exists() {
        return Ok(());
    }
    let install = "apt-get install galera-4".to_owned();
    Err(LaunchError::NotInstalled { program: PROVIDER.to_owned(), install })
}

impl Galera {
    /// Starts a cluster, and returns once both nodes are members and the first serves.
    ///
    /// # Errors
    ///
    /// As for [`Server::launch`].
    pub async fn start() -> Result<Self, LaunchError> {
        provider()?;
        let address = || free_addr().map_err(LaunchError::io("find a free port"));
        let (first, second) = (address()?, address()?);
        let node = Server::launch(member(first, address()?, None)).await?;
        let voter = Server::launch(member(second, address()?, Some(first))).await?;
        let addr = node.addr();
        until("ask for the size of a cluster", || async move {
            Ok(status(addr, "wsrep_cluster_size").await? == "2")
        })
        .await?;
        let cluster = Self { node, voter };
        cluster.until_ready("ON").await?;
        Ok(cluster)
    }

    /// The node that serves.
    #[must_use]
    pub fn node(&self) -> &MariaDbServer {
        &self.node
    }

    /// Kills the second node, and waits until the first has noticed and refuses to serve.
    ///
    /// # Errors
    ///
    /// If the second node cannot be killed, or the first has not noticed after a minute.
    pub async fn lose_majority(&self) -> Result<(), LaunchError> {
        self.voter.kill().await.map_err(LaunchError::io("kill a node"))?;
        self.until_ready("OFF").await
    }

    /// Makes the first node serve alone, as an administrator does, and waits until it serves.
    ///
    /// # Errors
    ///
    /// If the statement fails, or the node does not serve after a minute.
    pub async fn bootstrap(&self) -> Result<(), LaunchError> {
        let bootstrap = "SET GLOBAL wsrep_provider_options = 'pc.bootstrap=1'";
        wire::run(self.node.addr(), bootstrap).await.map_err(LaunchError::io("bootstrap a node"))?;
        self.until_ready("ON").await
    }

    async fn until_ready(&self, ready: &'static str) -> Result<(), LaunchError> {
        let addr = self.node.addr();
        until("ask whether a node serves", || async move { Ok(status(addr, "wsrep_ready").await? == ready) })
            .await
    }
}

/// The configuration of a node with the group address `group`. It joins the group of `other`, or
/// starts a new one.
fn member(group: SocketAddr, transfer: SocketAddr, other: Option<SocketAddr>) -> MariaDb {
    let other = other.map_or_else(String::new, |other| other.to_string());
    // A silent node is suspected after a second. The cache is small because the server allocates
    // its whole size at the start.
    let options = format!(
        "gmcast.listen_addr=tcp://{group};ist.recv_addr={transfer};gcache.size=1M;evs.keepalive_period=PT0.2S;\
         evs.join_retrans_period=PT0.2S;evs.inactive_check_period=PT0.2S;evs.suspect_timeout=PT1S;evs.inactive_timeout=PT3S;\
         evs.install_timeout=PT3S"
    );
    MariaDb::new().args([
        "--binlog-format=ROW".to_owned(),
        "--wsrep-on=ON".to_owned(),
        format!("--wsrep-provider={PROVIDER}"),
        format!("--wsrep-cluster-address=gcomm://{other}"),
        format!("--wsrep-node-address={group}"),
        // The second node copies no data, so it never serves.
        "--wsrep-sst-method=skip".to_owned(),
        format!("--wsrep-provider-options={options}"),
    ])
}

async fn status(addr: SocketAddr, name: &str) -> io::Result<String> {
    let status =
        format!("SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = '{name}'");
    wire::ask(addr, &status).await
}
