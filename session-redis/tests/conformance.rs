//! The suite in all three modes, bare and batched: one server, sentinels, and a cluster. The
//! sentinels run only batched.

mod support;

use std::{collections::HashMap, process::ExitCode, sync::Arc, time::Duration};

use session_conformance::{
    Breakable, BreakableServer, Capability, Fault, FaultControl, Foreign, Namespace, Suite, Target,
    Unavailable,
};
use session_core::{SessionKey, SessionStore, async_trait};
use session_redis::{BatchSettings, RedisStore, RedisStoreBuilder};
#[cfg(feature = "cache")]
use session_redis::{CacheExt, CacheSettings};
use session_servers::{
    Endpoint, Once, Proxy,
    redis::{self, Redis, RedisCluster, RedisSentinels, RedisServer},
};
use support::{command, slots};
use tokio::runtime::Runtime;

const DEADLINE: Duration = Duration::from_secs(1);

/// The recovery time that the README promises.
const RECOVERY: Duration = Duration::from_secs(2);

type Opened = Result<Arc<dyn SessionStore>, Unavailable>;

fn settings(namespace: &Namespace, batched: bool) -> RedisStoreBuilder {
    let settings = RedisStore::builder().namespace(namespace.as_str());
    if batched { settings } else { settings.batching(BatchSettings::disabled()) }
}

async fn open(url: &str, settings: RedisStoreBuilder) -> Opened {
    let opened = settings.connect(url).await;
    opened.map(|store| -> Arc<dyn SessionStore> { Arc::new(store) }).map_err(Unavailable::because)
}

/// The key of a session, as in the crate's documentation.
fn name_of(namespace: &Namespace, key: &SessionKey) -> String {
    let digits = key.to_string();
    format!("{namespace}:s:{{{}}}{}", &digits[..2], &digits[2..])
}

async fn plant(url: &str, namespace: &Namespace, key: SessionKey, foreign: Foreign) {
    let name = name_of(namespace, &key);
    let mut connection = command::connect(url).await;
    match foreign {
        Foreign::WrongType => {
            command::run(&mut connection, &["DEL", &name]).await;
            command::run(&mut connection, &["RPUSH", &name, "a", "list"]).await;
        }
        Foreign::Truncated => {
            let cut = "redis.call('SET', KEYS[1], redis.call('GETRANGE', KEYS[1], 0, 40))";
            command::run(&mut connection, &["EVAL", cut, "1", &name]).await;
        }
        _ => drop(command::run(&mut connection, &["SETRANGE", &name, "1", "\x02"]).await),
    }
}

/// Why no purge reports what it frees.
const FREED_BY_ITSELF: &str = "the server frees what has expired by itself, and does not tell of how much";

fn one_server(name: &str, batched: bool, server: &'static Once<Endpoint<Redis>>) -> Target {
    let url = || server.get().map(|server| server.url()).map_err(Unavailable::because);
    let handle =
        move |namespace: Namespace| async move { open(&url()?, settings(&namespace, batched)).await };
    Target::new(name, handle)
        .second_handle(move |namespace, _first| handle(namespace))
        .foreign_bytes(Foreign::ALL, move |namespace, key, foreign| async move {
            plant(&url().expect("it is there"), &namespace, key, foreign).await;
        })
        .faults(Fault::ALL, move |namespace| async move {
            let server = BreakableServer::launch(Redis::new()).await.map_err(Unavailable::because)?;
            let open = async |addr| {
                open(&format!("redis://{addr}"), settings(&namespace, batched).deadline(DEADLINE)).await
            };
            server.breakable(DEADLINE, RECOVERY, open).await
        })
        .without(Capability::Purge, FREED_BY_ITSELF)
        .required_as("redis")
}

/// A silence so long that no fault of the suite makes a replica take over.
const NO_FAILOVER: Duration = Duration::from_mins(2);

fn with_sentinels(name: &str, servers: &'static Once<RedisSentinels>) -> Target {
    let servers = || servers.get().map_err(Unavailable::because);
    let handle =
        move |namespace: Namespace| async move { open(&servers()?.url(), settings(&namespace, true)).await };
    Target::new(name, handle)
        .second_handle(move |namespace, _first| handle(namespace))
        .foreign_bytes(Foreign::ALL, move |namespace, key, foreign| async move {
            plant(&servers().expect("they are there").servers()[0].url(), &namespace, key, foreign).await;
        })
        .faults(Fault::ALL, move |namespace| async move {
            let server = RedisServer::start().await.map_err(Unavailable::because)?;
            let proxy = Proxy::start(server.addr()).await.map_err(Unavailable::because)?;
            let sentinels = RedisSentinels::for_one(server, proxy.addr().port(), NO_FAILOVER).await;
            let sentinels = sentinels.map_err(Unavailable::because)?;
            let settings = || settings(&namespace, true).deadline(DEADLINE);
            let store = open(&sentinels.url(), settings()).await?;
            // The sentinels know only the address of the proxy.
            let beside = Some(open(&sentinels.servers()[0].url(), settings()).await?);
            let control = Arc::new(BrokenSentinels { sentinels, proxy });
            Ok(Breakable { store, beside, control, deadline: DEADLINE, recovery: RECOVERY })
        })
        .without(Capability::Purge, FREED_BY_ITSELF)
        .required_as("redis")
}

/// A server behind a proxy, with sentinels that monitor it through the proxy.
struct BrokenSentinels {
    sentinels: RedisSentinels,
    proxy: Proxy,
}

#[async_trait]
impl FaultControl for BrokenSentinels {
    async fn inject(&self, fault: Fault) {
        fault.inject(&self.sentinels.servers()[0], &self.proxy).await;
    }

    async fn heal(&self, fault: Fault) {
        fault.heal(&self.sentinels.servers()[0], &self.proxy).await;
    }
}

fn in_cluster(name: &str, batched: bool, cluster: &'static Once<RedisCluster>) -> Target {
    let cluster = || cluster.get().map_err(Unavailable::because);
    let handle = move |namespace: Namespace| async move {
        open(&cluster()?.url(), settings(&namespace, batched)).await
    };
    Target::new(name, handle)
        .second_handle(move |namespace, _first| handle(namespace))
        .foreign_bytes(Foreign::ALL, move |namespace, key, foreign| async move {
            let cluster = cluster().expect("it is there");
            let name = name_of(&namespace, &key);
            let node = slots::node_of(&cluster, &name).await;
            plant(&node, &namespace, key, foreign).await;
        })
        .faults(Fault::ALL, move |namespace| async move {
            let builder = RedisCluster::builder().without_replicas().node_timeout(NO_FAILOVER);
            let cluster = builder.start().await.map_err(Unavailable::because)?;
            let mut proxies = Vec::new();
            for node in cluster.nodes() {
                proxies.push(Proxy::start(node.addr()).await.map_err(Unavailable::because)?);
            }
            let ports: Vec<_> = proxies.iter().map(|proxy| proxy.addr().port()).collect();
            cluster.announce(&ports).await.map_err(Unavailable::because)?;
            let settings = || settings(&namespace, batched).deadline(DEADLINE);
            let store = open(&format!("redis+cluster://{}", proxies[0].addr()), settings()).await?;
            // Each node announces the port of its proxy to clients.
            let behind: HashMap<_, _> =
                ports.iter().copied().zip(cluster.nodes().iter().map(RedisServer::port)).collect();
            let past = move |host: &str, port| (host.to_owned(), behind.get(&port).copied().unwrap_or(port));
            let beside = Some(open(&cluster.url(), settings().address_map(past)).await?);
            let control = Arc::new(BrokenCluster { cluster, proxies, ports });
            Ok(Breakable { store, beside, control, deadline: DEADLINE, recovery: RECOVERY })
        })
        .without(Capability::Purge, FREED_BY_ITSELF)
        .required_as("redis")
}

/// A cluster with each node behind a proxy. All proxies break together.
struct BrokenCluster {
    cluster: RedisCluster,
    proxies: Vec<Proxy>,
    ports: Vec<u16>,
}

#[async_trait]
impl FaultControl for BrokenCluster {
    async fn inject(&self, fault: Fault) {
        for (node, proxy) in self.cluster.nodes().iter().zip(&self.proxies) {
            fault.inject(node, proxy).await;
        }
    }

    async fn heal(&self, fault: Fault) {
        for (node, proxy) in self.cluster.nodes().iter().zip(&self.proxies) {
            fault.heal(node, proxy).await;
        }
        if fault == Fault::Kill {
            self.cluster.announce(&self.ports).await.expect("announced");
            self.cluster.wait_until_ready().await.expect("whole again");
        }
    }
}

/// The maximum staleness of reads through other nodes.
#[cfg(feature = "cache")]
const STALENESS: Duration = Duration::from_millis(500);

/// The same stores, each with its own cache.
#[cfg(feature = "cache")]
fn cached(name: &str, target: Target) -> Target {
    let layer = |store: Arc<dyn SessionStore>| async move {
        let settings = CacheSettings::default().max_staleness(STALENESS);
        let cached = store.cached(settings).map_err(Unavailable::because)?;
        cached.wait_until_ready().await;
        Ok(Arc::new(cached) as Arc<dyn SessionStore>)
    };
    target.layered(name, layer).staleness(STALENESS)
}

fn main() -> ExitCode {
    let runtime: &'static Runtime = Box::leak(Box::new(support::runtime()));
    let server: &'static Once<Endpoint<Redis>> = Box::leak(Box::new(Once::new(runtime, redis::endpoint())));
    let sentinels: &'static Once<RedisSentinels> =
        Box::leak(Box::new(Once::new(runtime, RedisSentinels::start(&[], NO_FAILOVER))));
    let cluster: &'static Once<RedisCluster> = Box::leak(Box::new(Once::new(runtime, RedisCluster::start())));
    let suite = Suite::new()
        .target(one_server("redis", false, server))
        .target(one_server("redis-batched", true, server))
        // Sentinels only find the primary, which then serves like any other server: once is enough.
        .target(with_sentinels("sentinel-batched", sentinels))
        .target(in_cluster("cluster", false, cluster))
        .target(in_cluster("cluster-batched", true, cluster));
    #[cfg(feature = "cache")]
    let suite = suite
        .target(cached("redis-cached", one_server("redis", true, server)))
        .target(cached("cluster-cached", in_cluster("cluster", true, cluster)));
    let code = suite.main();
    server.end();
    sentinels.end();
    cluster.end();
    code
}
