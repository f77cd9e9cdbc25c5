use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use rand::seq::SliceRandom;
use redis::{Value, pipe};
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
    time::{sleep, timeout},
};

use crate::{
    address::Address,
    connector::Connector,
    errors::sentence,
    link::Link,
    node::{Keeping, Node, Whereabouts},
    slots::slot,
};

/// The nodes of a Redis Cluster and the map of its shards, kept up to date.
#[derive(Debug)]
pub(crate) struct Cluster {
    connector: Arc<Connector>,
    keeping: Keeping,
    seeds: Vec<Address>,
    map: RwLock<Arc<Map>>,
    /// Counts the changes of the map.
    changes: watch::Sender<u64>,
    outdated: Notify,
    keeper: Mutex<Option<AbortHandle>>,
}

/// Which node has which shard. It is replaced as a whole at each change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Map {
    shards: Vec<Option<Arc<Node>>>,
    nodes: HashMap<Address, Arc<Node>>,
}

/// The interval of refreshes that nothing has requested.
const ROUND: Duration = Duration::from_secs(1);

/// The minimum pause between two refreshes.
const PAUSE: Duration = Duration::from_millis(50);

const SHARDS: usize = 256;

/// The primary of each shard, as one node reports it.
type View = Vec<Option<Address>>;

impl Cluster {
    /// A cluster to which at least one of these seed nodes belongs.
    pub(crate) fn new(seeds: Vec<Address>, connector: Arc<Connector>, keeping: Keeping) -> Self {
        Self {
            connector,
            keeping,
            seeds,
            map: RwLock::new(Arc::new(Map { shards: vec![None; SHARDS], nodes: HashMap::new() })),
            changes: watch::Sender::new(0),
            outdated: Notify::new(),
            keeper: Mutex::default(),
        }
    }

    pub(crate) fn map(&self) -> Arc<Map> {
        Arc::clone(&self.map.read())
    }

    /// A receiver of later changes of the map.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Requests a refresh of the map.
    pub(crate) fn look_again(&self) {
        self.outdated.notify_one();
    }

    /// Starts the task that refreshes the map at an interval and on request.
    pub(crate) fn start(self: &Arc<Self>) {
        let weak = Arc::downgrade(self);
        let task = tokio::spawn(async move {
            while let Some(cluster) = weak.upgrade() {
                // The links report what is wrong with each node.
                let _ = cluster.look().await;
                sleep(PAUSE).await;
                let outdated = async { cluster.outdated.notified().await };
                let _ = timeout(ROUND, outdated).await;
            }
        });
        *self.keeper.lock() = Some(task.abort_handle());
    }

    /// Refreshes the map: asks the nodes for it, one after another until one answers.
    pub(crate) async fn look(&self) -> Result<(), String> {
        let mut nodes = self.map().primaries();
        nodes.shuffle(&mut rand::rng());
        let mut trouble = "no node of the cluster is known".to_owned();
        for link in nodes.iter().filter_map(|node| node.link_now()) {
            match self.ask(&link).await {
                Ok(view) => {
                    self.adopt(&view);
                    return Ok(());
                }
                Err(error) => trouble = error,
            }
        }
        let mut seeds = self.seeds.clone();
        seeds.extend(self.map().nodes.keys().cloned());
        for address in seeds {
            match Link::connect(&self.connector, &address).await {
                Ok(link) => match self.ask(&link).await {
                    Ok(view) => {
                        self.adopt(&view);
                        return Ok(());
                    }
                    Err(error) => trouble = error,
                },
                Err(error) => trouble = format!("{address}: {error}"),
            }
        }
        Err(trouble)
    }

    /// The primary of each shard, as this node reports it.
    async fn ask(&self, link: &Link) -> Result<View, String> {
        let place = &link.address;
        let mut question = pipe();
        question.cmd("CLUSTER").arg("SLOTS");
        let reply = timeout(ROUND, link.send(&question))
            .await
            .map_err(|_| format!("{place} does not answer"))?
            .map_err(|error| format!("{place}: {error}"))?;
        match reply.into_iter().next() {
            Some(Value::Array(ranges)) => {
                self.view(place, &ranges).ok_or_else(|| format!("{place} is not of a cluster"))
            }
            Some(Value::ServerError(error)) => Err(format!("{place} refuses: {}", sentence(&error))),
            _ => Err(format!("{place} is not of a cluster")),
        }
    }

    fn view(&self, asked: &Address, ranges: &[Value]) -> Option<View> {
        let mut owners = Vec::with_capacity(ranges.len());
        for range in ranges {
            let Value::Array(range) = range else { return None };
            let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = &range[..] else {
                return None;
            };
            let [host, Value::Int(port), ..] = &primary[..] else { return None };
            let host = match host {
                Value::BulkString(host) => String::from_utf8_lossy(host).into_owned(),
                _ => String::new(),
            };
            owners.push((*first, *last, self.announced(asked, &host, u16::try_from(*port).ok()?)));
        }
        let primary_of = |shard: u8| {
            let slot = i64::from(slot(shard));
            let found = owners.iter().find(|(first, last, _)| (*first..=*last).contains(&slot));
            found.map(|(_, _, address)| address.clone())
        };
        let view: View = (0..=u8::MAX).map(primary_of).collect();
        view.iter().any(Option::is_some).then_some(view)
    }

    /// The address in a redirection by the node at `asked`.
    pub(crate) fn redirected(&self, asked: &Address, target: &str) -> Option<Address> {
        let (host, port) = target.rsplit_once(':')?;
        Some(self.announced(asked, host, port.parse().ok()?))
    }

    /// The address of a node that the node at `asked` has announced. A node that does not know its
    /// own host is reached where it was asked.
    fn announced(&self, asked: &Address, host: &str, port: u16) -> Address {
        match asked {
            Address::Tcp { host: here, .. } if host.is_empty() || host == "?" => {
                Address::Tcp { host: here.clone(), port }
            }
            _ => self.connector.map.reachable(host.to_owned(), port),
        }
    }

    fn adopt(&self, view: &View) {
        let mut map = self.map.write();
        let addresses: HashSet<&Address> = view.iter().flatten().collect();
        let mut nodes = HashMap::new();
        for address in addresses {
            let known = map.nodes.get(address).cloned();
            nodes.insert(address.clone(), known.unwrap_or_else(|| self.node(address)));
        }
        let shards: Vec<_> = view
            .iter()
            .map(|address| address.as_ref().and_then(|address| nodes.get(address).cloned()))
            .collect();
        let same = nodes.len() == map.nodes.len()
            && shards.iter().zip(&map.shards).all(|(one, other)| same_node(one.as_ref(), other.as_ref()));
        if !same {
            *map = Arc::new(Map { shards, nodes });
            drop(map);
            self.changes.send_modify(|changes| *changes += 1);
        }
    }

    /// Records that a slot has moved, before the next refresh finds others that may have moved.
    pub(crate) fn moved(&self, shard: u8, address: &Address) {
        let mut map = self.map.write();
        let mut changed = Map::clone(&map);
        let node = changed.nodes.entry(address.clone()).or_insert_with(|| self.node(address));
        changed.shards[usize::from(shard)] = Some(Arc::clone(node));
        *map = Arc::new(changed);
        drop(map);
        self.changes.send_modify(|changes| *changes += 1);
        self.look_again();
    }

    /// The node at an address to which another node has redirected.
    pub(crate) fn at(&self, address: &Address) -> Arc<Node> {
        if let Some(node) = self.map.read().nodes.get(address) {
            return Arc::clone(node);
        }
        let mut map = self.map.write();
        let mut changed = Map::clone(&map);
        let node = Arc::clone(changed.nodes.entry(address.clone()).or_insert_with(|| self.node(address)));
        *map = Arc::new(changed);
        node
    }

    fn node(&self, address: &Address) -> Arc<Node> {
        Arc::new(Node::new(&Whereabouts::Fixed(address.clone()), &self.connector, self.keeping))
    }

    pub(crate) fn close(&self) {
        if let Some(keeper) = self.keeper.lock().take() {
            keeper.abort();
        }
        for node in self.map().nodes.values() {
            node.close();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.close();
    }
}

impl Map {
    pub(crate) fn node(&self, shard: u8) -> Option<Arc<Node>> {
        self.shards[usize::from(shard)].clone()
    }

    /// The addresses of the nodes that have shards.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        let primaries = self.primaries();
        let serves = |node: &Arc<Node>| primaries.iter().any(|primary| Arc::ptr_eq(primary, node));
        self.nodes.iter().filter(|(_, node)| serves(node)).map(|(address, _)| address.clone()).collect()
    }

    /// The nodes that have shards, each once, sorted by name.
    pub(crate) fn primaries(&self) -> Vec<Arc<Node>> {
        let mut primaries: Vec<Arc<Node>> = Vec::new();
        for node in self.shards.iter().flatten() {
            if !primaries.iter().any(|known| Arc::ptr_eq(known, node)) {
                primaries.push(Arc::clone(node));
            }
        }
        primaries.sort_by(|one, other| one.name.cmp(&other.name));
        primaries
    }
}

fn same_node(one: Option<&Arc<Node>>, other: Option<&Arc<Node>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}
