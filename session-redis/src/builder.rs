use std::{sync::Arc, time::Duration};

use redis::RedisConnectionInfo;
use session_batch::{BatchSettings, Batched};
use session_core::{Error, ErrorKind, Operation, Result};
use tokio::{
    sync::{RwLock, watch},
    time::timeout,
};

use crate::{
    address::Address,
    cluster::Cluster,
    connector::Connector,
    core::Core,
    direct::Direct,
    errors::{config, unreachable},
    link::Link,
    namespace::Namespace,
    node::{Keeping, Node, Whereabouts},
    sentinels::Sentinels,
    server_info,
    settings::{Login, MAX_MAX_DATA_LEN, Place, Settings},
    store::RedisStore,
    tls,
    topology::Topology,
    url,
    watching::{Source, Watching},
};

/// The settings of a [`RedisStore`], made by [`RedisStore::builder`].
#[derive(Clone, Debug, Default)]
#[must_use = "settings do nothing until the store is opened"]
pub struct RedisStoreBuilder {
    pub(crate) settings: Settings,
}

impl RedisStoreBuilder {
    /// What the keys of this store begin with, which keeps them apart from all others in the database: 1 to 64 letters, digits, or any of
    /// `_-.:/`. `session` unless set.
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.settings.namespace = name.into();
        self
    }

    /// The user of the server's access control list. `default` unless set.
    pub fn user(mut self, name: impl Into<String>) -> Self {
        self.settings.login.user = Some(name.into());
        self
    }

    /// The password of the user.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.settings.login.password = Some(password.into());
        self
    }

    /// The user and the password for the sentinels, if they ask for any. Those of the servers are not tried.
    pub fn sentinel_login(mut self, user: Option<String>, password: impl Into<String>) -> Self {
        self.settings.sentinel_login = Login { user, password: Some(password.into()) };
        self
    }

    /// The number of the database. 0 unless set; a cluster has no other.
    pub fn database(mut self, number: u32) -> Self {
        self.settings.database = number;
        self
    }

    /// The certificates of the authorities to trust instead of the system's, in PEM. Only for `rediss`.
    pub fn tls_roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.settings.tls.roots = Some(pem.into());
        self
    }

    /// The certificate to show to the server, with its chain, and its key, both in PEM. Only for `rediss`.
    pub fn tls_client(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.settings.tls.client = Some((certificate.into(), key.into()));
        self
    }

    /// How many connections there are to each server, 1 to 64. One unless set: requests share connections, and one carries more than a server
    /// can do. Several help where network threads of the server or large sessions make it the bottleneck.
    pub fn connections(mut self, number: usize) -> Self {
        self.settings.connections = number.clamp(1, 64);
        self
    }

    /// How long an operation may take, waiting and retries included, before its caller is told
    /// [`Unavailable`](session_core::ErrorKind::Unavailable). Five seconds unless set; 10 milliseconds is the least.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = deadline.max(Duration::from_millis(10));
        self
    }

    /// How long an attempt to connect may take. A second unless set; it also bounds how soon service resumes after an outage.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout.max(Duration::from_millis(10));
        self
    }

    /// After which silence a server is asked for a sign of life, and again how long that may take. When nothing comes, its connections are made
    /// anew. 500 milliseconds unless set.
    pub fn silence(mut self, silence: Duration) -> Self {
        self.settings.silence = silence.max(Duration::from_millis(10));
        self
    }

    /// How often a request whose reply was lost may be sent again within the deadline: questions, and those changes that find out by their
    /// version whether they were carried out already. Three times unless set. No other change is ever sent again.
    pub fn resends(mut self, times: u32) -> Self {
        self.settings.resends = times;
        self
    }

    /// The longest data of one session, in bytes. 1 MiB unless set; 500 MB is the most that Redis takes.
    pub fn max_data_len(mut self, bytes: usize) -> Self {
        self.settings.max_data_len = bytes.min(MAX_MAX_DATA_LEN);
        self
    }

    /// How concurrent operations are gathered. [`BatchSettings::default`] unless set; [`BatchSettings::off`] gathers none. The deadline is that of
    /// the store, whatever is set there.
    pub fn batching(mut self, settings: BatchSettings) -> Self {
        self.settings.batching = settings;
        self
    }

    /// How many events a listener may be behind before it is told that it has missed some. 4,096 unless set; from one to 16 million.
    pub fn watch_capacity(mut self, events: usize) -> Self {
        self.settings.watch_capacity = events.clamp(1, 1 << 24);
        self
    }

    /// Connects to what `url` names. The options of the URL overrule what was set before.
    ///
    /// # Errors
    /// Those of [`RedisStore::connect`].
    pub async fn connect(self, url: &str) -> Result<RedisStore> {
        let (place, builder) = url::parse(url, self)?;
        builder.open(place).await
    }

    async fn open(self, place: Place) -> Result<RedisStore> {
        let settings = self.settings;
        let deadline = settings.deadline;
        timeout(deadline, start(settings, place)).await.unwrap_or_else(|_| {
            Err(Error::unavailable(Operation::Connect, false)
                .because("there was no answer within the deadline"))
        })
    }
}

/// What an operation may take within the batcher, so that it is the store that says what came of it.
fn inner(deadline: Duration) -> Duration {
    deadline.mul_f64(0.95)
}

async fn start(settings: Settings, place: Place) -> Result<RedisStore> {
    let namespace = Namespace::new(&settings.namespace)?;
    let connector = Arc::new(connector(&settings, &settings.login, settings.database)?);
    let keeping = Keeping { connections: settings.connections, silence: settings.silence };
    let node = |whereabouts: &Whereabouts| Arc::new(Node::new(whereabouts, &connector, keeping));
    let (topology, source) = match place {
        Place::Server(address) => {
            try_out(&connector, &address, false).await?;
            (Topology::One(node(&Whereabouts::Fixed(address.clone()))), Source::Server(address))
        }
        Place::Sentinel { sentinels, service } => {
            let asking = self::connector(&settings, &settings.sentinel_login, 0)?;
            let sentinels = Arc::new(Sentinels::new(sentinels, service, asking));
            let primary = sentinels.primary().await.map_err(|trouble| no_primary(&trouble))?;
            try_out(&connector, &primary, false).await?;
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
            cluster.start();
            (Topology::Cluster(Arc::clone(&cluster)), Source::Cluster(cluster))
        }
    };
    let core = Core {
        topology,
        namespace,
        deadline: inner(settings.deadline),
        max_data_len: settings.max_data_len,
        resends: settings.resends,
        watching: Watching::new(connector, source, settings.silence, settings.watch_capacity),
        closed: watch::Sender::new(false),
        under_way: RwLock::new(()),
    };
    let store = Batched::new(Direct(Arc::new(core)), settings.batching.deadline(settings.deadline))?;
    Ok(RedisStore { store })
}

fn no_primary(trouble: &str) -> Error {
    let lasting =
        ["does not know a service", "is not a sentinel", "refuses", "NOAUTH", "WRONGPASS", "authentication"];
    if lasting.iter().any(|words| trouble.contains(words)) {
        return config(trouble);
    }
    Error::unavailable(Operation::Connect, false).because(trouble)
}

fn connector(settings: &Settings, login: &Login, database: u32) -> Result<Connector> {
    let mut info = RedisConnectionInfo::default().set_db(database.into());
    if let Some(user) = &login.user {
        info = info.set_username(user);
    }
    if let Some(password) = &login.password {
        info = info.set_password(password);
    }
    let tls = tls::template(&settings.tls)?;
    Ok(Connector { login: info, tls, timeout: settings.connect_timeout })
}

/// Connects once, so that what is wrong is told at once and in full.
async fn try_out(connector: &Connector, address: &Address, in_cluster: bool) -> Result<()> {
    let failed = |error| unreachable(&address.to_string(), connector.tls.is_some(), error);
    let link = Link::connect(connector, address).await.map_err(failed)?;
    let mut questions = redis::pipe();
    questions.cmd("INFO").arg("server").cmd("INFO").arg("memory").cmd("INFO").arg("cluster");
    let replies = link.send(&questions).await.map_err(failed)?;
    server_info::check(address, &replies, in_cluster)
}

/// Connects to one of these nodes.
async fn try_any(connector: &Connector, addresses: &[Address]) -> Result<()> {
    let mut trouble = config("no node of the cluster is named");
    for address in addresses {
        match try_out(connector, address, true).await {
            Ok(()) => return Ok(()),
            // What one node refuses, all do.
            Err(error) if error.kind() == ErrorKind::Unsupported || error.kind() == ErrorKind::Config => {
                return Err(error);
            }
            Err(error) => trouble = error,
        }
    }
    Err(trouble)
}
