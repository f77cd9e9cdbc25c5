//! The suite on a standalone server and on replica sets, bare, batched, and behind a trait object.

mod support;

use std::{process::ExitCode, sync::Arc, time::Duration};

use mongodb::{
    Client, Collection,
    bson::{Binary, Document, doc, spec::BinarySubtype},
};
use session_conformance::{
    Breakable, BreakableServer, Capability, Fault, FaultControl, Foreign, Namespace, Suite, Target,
    Unavailable,
};
use session_core::{SessionKey, SessionStore, async_trait};
use session_mongo::{BatchSettings, MongoStore, MongoStoreBuilder};
#[cfg(feature = "cache")]
use session_mongo::{CacheExt, CacheSettings};
use session_servers::{
    Once, Proxy,
    mongo::{Mongo, MongoReplicaSet, MongoServer},
};
use tokio::runtime::Runtime;

const DEADLINE: Duration = Duration::from_secs(2);

/// The recovery time that the README promises.
const RECOVERY: Duration = Duration::from_secs(4);

/// After a silence of this length, another member would take over.
const ELECTION: Duration = Duration::from_secs(2);

type Opened = Result<Arc<dyn SessionStore>, Unavailable>;

fn settings(namespace: &Namespace, batched: bool) -> MongoStoreBuilder {
    // On a busy machine, a change that a majority must log takes a while, and in some cases 64
    // tasks wait for each other.
    let patience = Duration::from_mins(1);
    let settings =
        MongoStore::builder().database("conformance").collection(namespace.as_str()).deadline(patience);
    if batched { settings } else { settings.batching(BatchSettings::disabled()) }
}

async fn open(url: &str, settings: MongoStoreBuilder) -> Opened {
    let opened = settings.connect(url).await;
    opened.map(|store| -> Arc<dyn SessionStore> { Arc::new(store) }).map_err(Unavailable::because)
}

/// Damages a document in the given way.
async fn plant(url: &str, namespace: &Namespace, key: SessionKey, foreign: Foreign) {
    let client = Client::with_uri_str(url).await.expect("a client");
    let collection: Collection<Document> = client.database("conformance").collection(namespace.as_str());
    let id = Binary { subtype: BinarySubtype::Generic, bytes: key.as_bytes().to_vec() };
    let change = match foreign {
        Foreign::WrongType => doc! { "$set": { "d": "text", "e": "soon" } },
        Foreign::Truncated => doc! { "$unset": { "d": "" } },
        _ => doc! { "$set": { "f": 2 } },
    };
    let planted = collection.update_one(doc! { "_id": id }, change).await.expect("it is planted");
    assert_eq!(planted.matched_count, 1, "there was a record to damage");
    client.shutdown().immediate(true).await;
}

/// The only member of a replica set, behind a proxy.
struct BrokenSet {
    set: MongoReplicaSet,
    proxy: Proxy,
}

#[async_trait]
impl FaultControl for BrokenSet {
    async fn inject(&self, fault: Fault) {
        fault.inject(&self.set.members()[0], &self.proxy).await;
    }

    async fn heal(&self, fault: Fault) {
        fault.heal(&self.set.members()[0], &self.proxy).await;
    }
}

fn standalone(name: &str, server: &'static Once<MongoServer>) -> Target {
    let url = || server.get().map(|server| server.url()).map_err(Unavailable::because);
    let handle = move |namespace: Namespace| async move { open(&url()?, settings(&namespace, true)).await };
    Target::new(name, handle)
        .second_handle(move |namespace, _first| handle(namespace))
        .foreign_bytes(Foreign::ALL, move |namespace, key, foreign| async move {
            plant(&url().expect("it is there"), &namespace, key, foreign).await;
        })
        .faults(Fault::ALL, move |namespace| async move {
            let server = BreakableServer::launch(Mongo::new()).await.map_err(Unavailable::because)?;
            let open = async |addr| {
                let url = format!("mongodb://{addr}/?directConnection=true");
                open(&url, settings(&namespace, true).deadline(DEADLINE)).await
            };
            server.breakable(DEADLINE, RECOVERY, open).await
        })
        .without(Capability::Watch, "a standalone server has no change streams")
        .required_as("mongo")
}

fn replica_set(name: &str, batched: bool, set: &'static Once<MongoReplicaSet>) -> Target {
    let url = || set.get().map(|set| set.url()).map_err(Unavailable::because);
    let handle =
        move |namespace: Namespace| async move { open(&url()?, settings(&namespace, batched)).await };
    Target::new(name, handle)
        .second_handle(move |namespace, _first| handle(namespace))
        .foreign_bytes(Foreign::ALL, move |namespace, key, foreign| async move {
            plant(&url().expect("it is there"), &namespace, key, foreign).await;
        })
        .faults(Fault::ALL, move |namespace| async move {
            let server = MongoReplicaSet::member().start().await.map_err(Unavailable::because)?;
            let proxy = Proxy::start(server.addr()).await.map_err(Unavailable::because)?;
            let set = MongoReplicaSet::initiate(vec![server], vec![proxy.addr()], ELECTION).await;
            let set = set.map_err(Unavailable::because)?;
            let settings = || settings(&namespace, batched).deadline(DEADLINE);
            let store = open(&set.url(), settings()).await?;
            // The set names its member by the address of the proxy; a direct connection does not
            // use that name.
            let beside = Some(open(&set.members()[0].url(), settings()).await?);
            let control = Arc::new(BrokenSet { set, proxy });
            Ok(Breakable { store, beside, control, deadline: DEADLINE, recovery: RECOVERY })
        })
        // In one case, 64 tasks change one session, and each of thousands of conflicts waits for
        // two servers on one machine.
        .case_limit(Duration::from_mins(6))
        .required_as("mongo")
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
    let server: &'static Once<MongoServer> = Box::leak(Box::new(Once::new(runtime, MongoServer::start())));
    // With two members, a majority is more than the primary. Elections, which need a third member,
    // are tested in faults.rs and roles.rs.
    let set: &'static Once<MongoReplicaSet> =
        Box::leak(Box::new(Once::new(runtime, MongoReplicaSet::start(2, &[], ELECTION))));
    let suite = Suite::new()
        .target(standalone("standalone-batched", server))
        .target(replica_set("replica-set", false, set))
        .target(replica_set("replica-set-batched", true, set));
    #[cfg(feature = "cache")]
    let suite = suite.target(cached("replica-set-cached", replica_set("set", true, set)));
    let code = suite.main();
    server.end();
    set.end();
    code
}
