use std::sync::Arc;

use session_core::{Error, Operation, Result};

use crate::{cluster::Cluster, node::Node, request::Route};

/// The servers of a deployment.
#[derive(Debug)]
pub(crate) enum Topology {
    /// One server, or the primary that sentinels monitor.
    One(Arc<Node>),
    Cluster(Arc<Cluster>),
}

impl Topology {
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// The node for a request, if any is known.
    pub(crate) fn node(&self, to: &Route) -> Option<Arc<Node>> {
        match (to, self) {
            (Route::Node(node), _) | (Route::Shard(_), Self::One(node)) => Some(Arc::clone(node)),
            (Route::Shard(shard), Self::Cluster(cluster)) => cluster.map().node(*shard),
        }
    }

    /// All primaries.
    pub(crate) fn primaries(&self, operation: Operation) -> Result<Vec<Arc<Node>>> {
        match self {
            Self::One(node) => Ok(vec![Arc::clone(node)]),
            Self::Cluster(cluster) => {
                let primaries = cluster.map().primaries();
                if primaries.is_empty() {
                    return Err(
                        Error::unavailable(operation, false).because("no node of the cluster is known")
                    );
                }
                Ok(primaries)
            }
        }
    }

    /// The shard of a session's owner index in Cluster. Otherwise `None`: one index for all shards.
    pub(crate) fn index_shard(&self, shard: u8) -> Option<u8> {
        self.is_cluster().then_some(shard)
    }

    pub(crate) fn close(&self) {
        match self {
            Self::One(node) => node.close(),
            Self::Cluster(cluster) => cluster.close(),
        }
    }
}
