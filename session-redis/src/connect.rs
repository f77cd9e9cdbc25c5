use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use session_backend::Batched;
use session_core::{Error, ErrorKind, Operation, Result};
use tokio::{
    sync::{RwLock, watch},
    time::timeout,
};

use crate::{
    address::Address,
    backend::RedisBackend,
    cluster::Cluster,
    connector::{Connector, Warnings},
    core::Core,
    errors::config,
    link::Link,
    namespace::Namespace,
    node::{Keeping, Node, Whereabouts},
    owners_seen::OwnersSeen,
    sentinels::Sentinels,
    server_info,
    settings::{Login, Place, Settings},
    store::RedisStore,
    tls,
    topology::Topology,
    watch::{Source, Watching},
};

/// Opens a store with these settings on the servers at `place`.
pub(crate) async fn open(settings: Settings, place: Place) -> Result<RedisStore> {
    let namespace = Namespace::new(&settings.namespace)?;
    let warnings = Arc::default();
    let connector = Arc::new(connector(&settings, &settings.login, settings.database, &warnings)?);
    let keeping = Keeping { connections: settings.connections, keepalive: settings.keepalive };
    let node = |whereabouts: &Whereabouts| Arc::new(Node::new(whereabouts, &connector, keeping));
    let (topology, source) = match place {
        Place::Server(address) => {
            try_primary(&connector, &address).await?;
            (Topology::One(node(&Whereabouts::Fixed(address.clone()))), Source::Server(address))
        }
        Place::Sentinel { sentinels, service } => {
            let asking = self::connector(&settings, &settings.sentinel_login, 0, &warnings)?;
            let sentinels = Arc::new(Sentinels::new(sentinels, service, asking));
            let primary = sentinels.primary().await.map_err(|(trouble, lasting)| {
                if lasting {
                    config(trouble)
                } else {
                    Error::unavailable(Operation::Connect, false).because(trouble)
                }
            })?;
            try_primary(&connector, &primary).await?;
            (Topology::One(node(&Whereabouts::Primary(Arc::clone(&sentinels)))), Source::Sentinels(sentinels))
        }
        Place::Cluster(seeds) => {
            if settings.database != 0 {
                return Err(config("a cluster has database 0 alone"));
            }
            let cluster = Arc::new(Cluster::new(seeds.clone(), Arc::clone(&connector), keeping));
            try_any(&connector, &seeds).await?;
            cluster
                .look()
                .await
                .map_err(|trouble| Error::unavailable(Operation::Connect, false).because(trouble))?;
            try_announced(&cluster, &seeds, settings.connect_timeout).await?;
            cluster.start();
            (Topology::Cluster(Arc::clone(&cluster)), Source::Cluster(cluster))
        }
    };
    let core = Core {
        topology,
        namespace,
        deadline: inner(settings.deadline),
        max_data_len: settings.max_data_len,
        max_retries: settings.max_retries,
        watching: Watching::new(connector, source, settings.keepalive, settings.watch_capacity),
        owners_seen: OwnersSeen::default(),
        closed: watch::Sender::new(false),
        under_way: RwLock::new(()),
    };
    let store = Batched::new(RedisBackend(Arc::new(core)), settings.batching.deadline(settings.deadline))?;
    Ok(RedisStore { store })
}

/// The deadline of an operation inside the batcher. It is shorter, so that the store and not the
/// batcher reports the outcome.
fn inner(deadline: Duration) -> Duration {
    deadline.mul_f64(0.95)
}

fn connector(
    settings: &Settings,
    login: &Login,
    database: u32,
    warnings: &Arc<Warnings>,
) -> Result<Connector> {
    // The scheme always implies a mode, so it does not matter whether the servers are local.
    let mode = settings.tls.resolve(settings.scheme, true)?;
    Ok(Connector {
        login: login.clone(),
        database,
        client_name: settings.client_name.clone(),
        tls: tls::open(mode, &settings.tls)?,
        mode,
        map: settings.addresses.clone(),
        timeout: settings.connect_timeout,
        warnings: Arc::clone(warnings),
    })
}

/// Connects once, so that an error is reported at once and in full.
async fn try_out(connector: &Connector, address: &Address, in_cluster: bool) -> Result<Link> {
    let place = address.to_string();
    let failed = |error: crate::no_connection::NoConnection| error.opening(&place, connector.tls.is_some());
    let link = Link::connect(connector, address).await.map_err(failed)?;
    let mut questions = redis::pipe();
    questions.cmd("INFO").arg("server").cmd("INFO").arg("memory").cmd("INFO").arg("cluster");
    let replies = link.send(&questions).await.map_err(|error| failed(error.into()))?;
    server_info::check(address, &replies, in_cluster)?;
    Ok(link)
}

/// The same, for a server that must be a primary.
async fn try_primary(connector: &Connector, address: &Address) -> Result<()> {
    let link = try_out(connector, address, false).await?;
    link.must_be_primary(connector)
        .await
        .map_err(|error| error.opening(&address.to_string(), connector.tls.is_some()))
}

/// Connects to one of these nodes.
async fn try_any(connector: &Connector, addresses: &[Address]) -> Result<()> {
    let mut trouble = config("no node of the cluster is named");
    for address in addresses {
        match try_out(connector, address, true).await {
            Ok(_) => return Ok(()),
            // All nodes would refuse what one node refuses.
            Err(error) if error.kind() == ErrorKind::Unsupported || error.kind() == ErrorKind::Config => {
                return Err(error);
            }
            Err(error) => trouble = error,
        }
    }
    Err(trouble)
}

/// Checks that announced addresses can be reached. Otherwise a cluster whose nodes announce
/// unreachable addresses would open, and then serve nothing.
async fn try_announced(cluster: &Cluster, seeds: &[Address], patience: Duration) -> Result<()> {
    let announced = cluster.map().addresses();
    let nodes = cluster.map().primaries();
    let reached = nodes.iter().map(|node| timeout(patience, node.link()));
    let lost: Vec<_> =
        join_all(reached).await.into_iter().zip(&nodes).filter(|(link, _)| link.is_err()).collect();
    if lost.is_empty() {
        return Ok(());
    }
    let why =
        |(_, node): &(_, &Arc<Node>)| node.trouble().map_or_else(|| node.name.clone(), |why| why.to_string());
    let troubles: Vec<String> = lost.iter().map(why).collect();
    let troubles = troubles.join("; ");
    if lost.len() < nodes.len() {
        tracing::warn!(unreachable = %troubles, "some primaries of the cluster cannot be reached");
        return Ok(());
    }
    let error = if announced.iter().any(|address| seeds.contains(address)) {
        Error::unavailable(Operation::Connect, false)
    } else {
        Error::new(ErrorKind::Config, Operation::Connect)
    };
    Err(error.because(format!(
        "the cluster answers, but none of the addresses that its nodes announce can be reached from here ({troubles}); have them announce \
         others (`cluster-announce-ip`, `cluster-announce-port`), or say where they are to be reached by `RedisStoreBuilder::address_map`"
    )))
}
