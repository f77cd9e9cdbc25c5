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

/// A launched cluster of a node and a second one that votes, and keeps nothing.
///
/// When the second is killed, the first has no majority, and refuses everything until [`bootstrap`](Self::bootstrap).
#[derive(Debug)]
pub struct Galera {
    node: MariaDbServer,
    voter: MariaDbServer,
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
    /// Starts a cluster, and returns once both nodes are in it and the first serves.
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

    /// Kills the second node, and waits until the first has noticed, and refuses to serve.
    ///
    /// # Errors
    ///
    /// When it cannot be killed, or the first has not noticed after a minute.
    pub async fn lose_majority(&self) -> Result<(), LaunchError> {
        self.voter.kill().await.map_err(LaunchError::io("kill a node"))?;
        self.until_ready("OFF").await
    }

    /// Has the first node serve alone, as an administrator does, and waits until it does.
    ///
    /// # Errors
    ///
    /// When it cannot be asked, or does not serve after a minute.
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

/// How to run a node, whose address in the group is `group`, in a new group or in that of another one.
fn member(group: SocketAddr, transfer: SocketAddr, other: Option<SocketAddr>) -> MariaDb {
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
        // The second copies nothing, and so never serves.
        "--wsrep-sst-method=skip".to_owned(),
        format!("--wsrep-provider-options={options}"),
    ])
}

async fn status(addr: SocketAddr, name: &str) -> io::Result<String> {
    let status =
        format!("SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = '{name}'");
    wire::ask(addr, &status).await
}
