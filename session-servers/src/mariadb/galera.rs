//! A Galera cluster: servers of which each takes writes, and none serves that has lost the majority.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use super::{MariaDb, MariaDbServer, wire};
use crate::ports::free_addr;
use crate::until::until;
use crate::{LaunchError, Server};

/// Where the package installs the library by which a server takes part.
const PROVIDER: &str = "/usr/lib/galera/libgalera_smm.so";

/// A launched cluster of two nodes, both without any tables at first.
///
/// When one is killed, the other has no majority, and refuses everything until [`bootstrap`](Self::bootstrap).
#[derive(Debug)]
pub struct Galera {
    nodes: [MariaDbServer; 2],
}

/// Whether what makes a server a node of a cluster is installed.
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
    /// Starts a cluster, and returns once both nodes serve.
    ///
    /// # Errors
    ///
    /// As for [`Server::launch`].
    pub async fn start() -> Result<Self, LaunchError> {
        provider()?;
        let address = || free_addr().map_err(LaunchError::io("find a free port"));
        let (first, second) = (address()?, address()?);
        let one = Server::launch(node(first, address()?, None)).await?;
        let other = Server::launch(node(second, address()?, Some(first))).await?;
        let cluster = Self { nodes: [one, other] };
        for node in &cluster.nodes {
            serves(node).await?;
        }
        Ok(cluster)
    }

    /// The nodes. The second one can be killed, and started again.
    #[must_use]
    pub fn nodes(&self) -> &[MariaDbServer; 2] {
        &self.nodes
    }

    /// Waits until a node has noticed that it is alone, and refuses to serve.
    ///
    /// # Errors
    ///
    /// When it cannot be asked, or has not noticed after a minute.
    pub async fn refuses(&self, node: usize) -> Result<(), LaunchError> {
        let addr = self.nodes[node].addr();
        until("ask whether a node serves", || async move { Ok(!is_ready(addr).await?) }).await
    }

    /// Has a node that is alone serve again, as an administrator does, and waits until it does.
    ///
    /// # Errors
    ///
    /// When it cannot be asked, or does not serve after a minute.
    pub async fn bootstrap(&self, node: usize) -> Result<(), LaunchError> {
        let node = &self.nodes[node];
        let bootstrap = "SET GLOBAL wsrep_provider_options = 'pc.bootstrap=1'";
        wire::run(node.addr(), bootstrap).await.map_err(LaunchError::io("bootstrap a node"))?;
        serves(node).await
    }
}

/// How to run a node, whose address in the group is `group`, in a new group or in that of another one.
fn node(group: SocketAddr, transfer: SocketAddr, other: Option<SocketAddr>) -> MariaDb {
    let other = other.map_or_else(String::new, |other| other.to_string());
    // A node is given up after a second. The cache would fill its whole size at the start.
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
        // All begin with the same tables, none.
        "--wsrep-sst-method=skip".to_owned(),
        format!("--wsrep-provider-options={options}"),
    ])
}

async fn serves(node: &MariaDbServer) -> Result<(), LaunchError> {
    let addr = node.addr();
    until("ask whether a node serves", || is_ready(addr)).await
}

async fn is_ready(addr: SocketAddr) -> io::Result<bool> {
    let status = "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'wsrep_ready'";
    Ok(wire::ask(addr, status).await? == "ON")
}
