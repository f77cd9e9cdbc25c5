use std::{path::PathBuf, sync::Arc, time::Duration};

use mongodb::{
    Client,
    bson::RawDocumentBuf,
    options::{
        Acknowledgment, ClientOptions, CollectionOptions, ReadConcern, ReadPreference, SelectionCriteria,
        Tls, TlsOptions, WriteConcern,
    },
};
use session_batch::{BatchSettings, Batched};
use session_core::{Error, Operation, Result};
use tokio::{
    sync::{RwLock, Semaphore, watch},
    time::timeout,
};

use crate::{
    core::Core,
    direct::Direct,
    errors::{config, late},
    numbered::NumberedSessions,
    opening::{self, Opened},
    server::Kind,
    settings::{CONNECT_TIMEOUT, HEARTBEAT, MAX_MAX_DATA_LEN, POOL, Secret, Settings},
    store::MongoStore,
    watching::Watching,
};

/// The settings of a [`MongoStore`], made by [`MongoStore::builder`].
///
/// What is set here overrules what the URL says. With a client that is there already, the settings of connections are that client's, and those
/// marked *(URL only)* are refused.
#[derive(Clone, Debug, Default)]
#[must_use = "settings do nothing until the store is opened"]
pub struct MongoStoreBuilder {
    settings: Settings,
}

impl MongoStoreBuilder {
    /// The database. Unless set, the one in the path of the URL, or `session`.
    pub fn database(mut self, name: impl Into<String>) -> Self {
        self.settings.database = Some(name.into());
        self
    }

    /// The collection, which holds nothing but the sessions of this store. `sessions` unless set.
    pub fn collection(mut self, name: impl Into<String>) -> Self {
        self.settings.collection = name.into();
        self
    }

    /// The user and the password. *(URL only)*
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.settings.credentials = Some((user.into(), Secret(password.into())));
        self
    }

    /// What the server's log and statistics call this client. *(URL only)*
    pub fn app_name(mut self, name: impl Into<String>) -> Self {
        self.settings.app_name = Some(name.into());
        self
    }

    /// Encrypts the connections, and trusts the authorities whose certificates are in this file, in PEM, instead of the well-known ones. The second
    /// file, if any, holds the certificate to show to the server and its key. *(URL only)*
    pub fn tls(mut self, roots: Option<PathBuf>, client: Option<PathBuf>) -> Self {
        self.settings.tls = Some((roots, client));
        self
    }

    /// How many connections there are to each server at most. 64 unless set here or in the URL; a store with batching uses about ten. *(URL only)*
    pub fn pool(mut self, connections: u32) -> Self {
        self.settings.pool = Some(connections.max(1));
        self
    }

    /// When a change counts as done. Unless set here or in the URL, when a majority has it, so that no failover can take it back.
    ///
    /// [`w: 1`](mongodb::options::Acknowledgment::Nodes) is faster, and [gives that up](crate#what-a-failover-or-a-crash-can-take-back).
    pub fn write_concern(mut self, concern: WriteConcern) -> Self {
        self.settings.write_concern = Some(concern);
        self
    }

    /// How durable what [`read`](session_core::SessionStore::read) returns must be. The server's default, `local`, unless set here or in the URL.
    pub fn read_concern(mut self, concern: ReadConcern) -> Self {
        self.settings.read_concern = Some(concern);
        self
    }

    /// Which server [`read`](session_core::SessionStore::read) and `read_many` ask: the primary unless set here or in the URL. A secondary is behind by what
    /// replication lags, so with any other, reads can be stale. Conditions are always judged by the primary.
    pub fn read_preference(mut self, preference: ReadPreference) -> Self {
        self.settings.read_preference = Some(SelectionCriteria::ReadPreference(preference));
        self
    }

    /// How long an operation may take, waiting and retries included, before its caller is told
    /// [`Unavailable`](session_core::ErrorKind::Unavailable). Five seconds unless set; 10 milliseconds is the least.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = deadline.max(Duration::from_millis(10));
        self
    }

    /// How long an attempt to connect may take. Two seconds unless set here or in the URL. *(URL only)*
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = Some(timeout.max(Duration::from_millis(10)));
        self
    }

    /// How often each server is asked for a sign of life. One that is silent for this and the timeout of connecting together is taken for
    /// dead, and its connections are closed. Two seconds unless set here or in the URL; half a second is the least. *(URL only)*
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.settings.heartbeat = Some(interval.max(Duration::from_millis(500)));
        self
    }

    /// How often a command without an answer may be sent again within the deadline: questions, and those changes that are recognised if they were carried
    /// out already. Ten times unless set. No other change is ever sent again.
    pub fn resends(mut self, times: u32) -> Self {
        self.settings.resends = times;
        self
    }

    /// Whether missing indexes are created when the store is opened. They are unless this is set to `false`; then their absence is an error.
    pub fn create_indexes(mut self, create: bool) -> Self {
        self.settings.create_indexes = create;
        self
    }

    /// The longest data of one session, in bytes. 1 MiB unless set; a document of 16 MiB is the most that MongoDB takes.
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

    /// Connects to what `url` names.
    ///
    /// # Errors
    /// Those of [`MongoStore::connect`].
    pub async fn connect(self, url: &str) -> Result<MongoStore> {
        let deadline = self.settings.deadline;
        let opening = async {
            let options = self.options(url).await?;
            let database = options.default_database.clone();
            let pool = options.max_pool_size;
            let replica_set = options.clone();
            let client = Client::with_options(options).map_err(|error| {
                config(format!("the settings cannot be used: {}", error.kind)).with_source(error)
            })?;
            let opened = opening::open(&client, &self.settings, database, Some(&replica_set)).await;
            if opened.is_err() {
                client.clone().shutdown().immediate(true).await;
            }
            self.finish(client, &opened?, pool.unwrap_or(POOL), true)
        };
        timeout(deadline, Box::pin(opening)).await.unwrap_or_else(|_| Err(late(Operation::Connect, false)))
    }

    /// Uses a client that is there already. [`close`](session_core::SessionStore::close) leaves it open.
    ///
    /// # Errors
    /// Those of [`MongoStore::connect`].
    pub async fn with_client(self, client: Client) -> Result<MongoStore> {
        let settings = self.settings.clone();
        let of_the_url = [
            ("credentials", settings.credentials.is_some()),
            ("app_name", settings.app_name.is_some()),
            ("tls", settings.tls.is_some()),
            ("pool", settings.pool.is_some()),
            ("connect_timeout", settings.connect_timeout.is_some()),
            ("heartbeat", settings.heartbeat.is_some()),
        ];
        if let Some((name, _)) = of_the_url.iter().find(|(_, set)| *set) {
            return Err(config(format!(
                "`{name}` cannot be set for a client that is there already; set it there"
            )));
        }
        let deadline = settings.deadline;
        let opening = async move {
            let database = client.default_database().map(|database| database.name().to_owned());
            let opened = opening::open(&client, &settings, database, None).await?;
            self.finish(client.clone(), &opened, POOL, false)
        };
        timeout(deadline, Box::pin(opening)).await.unwrap_or_else(|_| Err(late(Operation::Connect, false)))
    }

    /// The options of the driver: those of the URL, those that are set, and our defaults.
    async fn options(&self, url: &str) -> Result<ClientOptions> {
        let settings = &self.settings;
        // In the URL, the driver judges them together with the options that belong to them.
        let with_login =
            settings.credentials.as_ref().map(|(user, Secret(password))| with_login(url, user, password));
        let url = with_login.as_deref().unwrap_or(url);
        let mut options = ClientOptions::parse(url).await.map_err(|error| unusable(url, &error))?;
        if let Some(name) = &settings.app_name {
            options.app_name = Some(name.clone());
        }
        if let Some((roots, client)) = &settings.tls {
            let mut tls = TlsOptions::default();
            tls.ca_file_path.clone_from(roots);
            tls.cert_key_file_path.clone_from(client);
            options.tls = Some(Tls::Enabled(tls));
        }
        options.max_pool_size =
            settings.pool.or(options.max_pool_size.filter(|size| *size > 0)).or(Some(POOL));
        options.connect_timeout =
            settings.connect_timeout.or(options.connect_timeout).or(Some(CONNECT_TIMEOUT));
        options.heartbeat_freq = settings.heartbeat.or(options.heartbeat_freq).or(Some(HEARTBEAT));
        // Whoever waits for a server waits no longer than our deadline, and then is told why.
        let selection = options.server_selection_timeout.unwrap_or(settings.deadline);
        options.server_selection_timeout = Some(selection.min(settings.deadline.mul_f64(0.8)));
        Ok(options)
    }

    fn finish(self, client: Client, opened: &Opened, pool: u32, own_client: bool) -> Result<MongoStore> {
        let settings = self.settings;
        let write_concern =
            settings.write_concern.or_else(|| client.write_concern().cloned()).unwrap_or_default();
        if matches!(write_concern.w, Some(Acknowledgment::Nodes(0))) {
            return Err(config(
                "with the write concern w: 0, nobody would know what came of a change; use 1 or more",
            ));
        }
        let database = client.database(&opened.database);
        let name = &settings.collection;
        let mut primary = CollectionOptions::default();
        primary.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
        primary.read_concern = Some(ReadConcern::local());
        let mut reading = CollectionOptions::default();
        reading.selection_criteria = settings.read_preference;
        reading.read_concern = settings.read_concern;
        let primary = database.collection_with_options::<RawDocumentBuf>(name, primary);
        let has_oplog = opened.kind != Kind::Standalone;
        let watching = has_oplog.then(|| Watching::new(primary.clone(), settings.watch_capacity));
        let core = Core {
            numbered: (has_oplog && own_client).then(|| Arc::new(NumberedSessions::new(client.clone()))),
            own_client,
            reading: database.collection_with_options(name, reading),
            primary,
            database,
            write_concern,
            // So that it is the store that says what came of an operation, and not the batcher.
            deadline: settings.deadline.mul_f64(0.95),
            max_data_len: settings.max_data_len,
            resends: settings.resends,
            watching,
            permits: Arc::new(Semaphore::new(pool as usize)),
            closed: watch::Sender::new(false),
            under_way: RwLock::new(()),
            client,
        };
        let store = Batched::new(Direct(Arc::new(core)), settings.batching.deadline(settings.deadline))?;
        Ok(MongoStore { store })
    }
}

/// The URL with this user and password in place of those that it may have.
fn with_login(url: &str, user: &str, password: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority = rest.find(['/', '?']).unwrap_or(rest.len());
    let hosts = rest[..authority].rfind('@').map_or(rest, |at| &rest[at + 1..]);
    let encoded = |text: &str| {
        let encode = |byte: u8| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        };
        text.bytes().map(encode).collect::<String>()
    };
    format!("{scheme}://{}:{}@{hosts}", encoded(user), encoded(password))
}

/// The error for a URL that the driver does not take. Its words can repeat parts of the URL, so they are not passed on with a password in them.
fn unusable(url: &str, error: &mongodb::error::Error) -> Error {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let login = authority.rsplit_once('@').map(|(login, _)| login);
    let words = error.kind.to_string();
    let secret = login.is_some_and(|login| {
        let password = login.split_once(':').map_or(login, |(_, password)| password);
        password.split(['/', '?', '@']).any(|part| !part.is_empty() && words.contains(part))
    });
    let words =
        if secret { "a part of it that is not shown, because it may be the password" } else { &words };
    config(format!(
        "the URL cannot be used; one looks like `mongodb://user:password@localhost:27017/database`: {words}"
    ))
}

#[cfg(test)]
mod tests {
    use super::with_login;

    #[test]
    fn a_login_takes_the_place_of_another() {
        for (url, with) in [
            ("mongodb://localhost", "mongodb://us%40er:p%2Fw@localhost"),
            ("mongodb://a:b@host1,host2/db?x=y@z", "mongodb://us%40er:p%2Fw@host1,host2/db?x=y@z"),
            ("mongodb+srv://host/?authSource=a", "mongodb+srv://us%40er:p%2Fw@host/?authSource=a"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(with_login(url, "us@er", "p/w"), with);
        }
    }
}
