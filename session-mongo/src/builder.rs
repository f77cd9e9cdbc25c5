use std::{sync::Arc, time::Duration};

use mongodb::{
    Client,
    options::{Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern},
};
use session_backend::{Credentials, CredentialsProvider, Pem, SharedProvider, TlsMode, TlsSettings};
use session_backend::{BatchSettings, Batched};
use session_core::{ErrorKind, Operation, Result};
use tokio::{
    sync::{Mutex, RwLock, Semaphore, watch},
    time::timeout,
};

use crate::{
    connection::{Connection, Connections, Renewal, Use, client},
    core::Core,
    backend::MongoBackend,
    errors::{config, late},
    opening::{self, Opened},
    server::Kind,
    settings::{CONNECT_TIMEOUT, HEARTBEAT, MAX_MAX_DATA_LEN, NEVER, POOL, Settings},
    store::MongoStore,
    tls::Encryption,
    url::Url,
    watching::Watching,
};

/// The settings of a [`MongoStore`], made by [`MongoStore::builder`].
///
/// What is set here overrules what the URL says. Zero turns a bound or an interval off; how that is
/// meant stands at each. With a client that is there already, the settings of connections are that
/// client's, and those
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
        self.settings.credentials = Some(Credentials::new(user, password));
        self
    }

    /// Where the user and the password come from, if they change while the program runs. *(URL
    /// only)*
    ///
    /// The provider is asked when the store is opened, and again when the server refuses the login,
    /// or the user a permission. The driver keeps the login of a client for ever, so the store then
    /// makes another client with the new credentials, and the operation goes on with that. Until
    /// the provider has credentials that the server takes, operations fail as
    /// [`Unavailable`](session_core::ErrorKind::Unavailable). What else the URL says of the login,
    /// such as `authSource`, stays.
    pub fn credentials_provider(mut self, provider: impl CredentialsProvider) -> Self {
        self.settings.provider = Some(SharedProvider::new(provider));
        self
    }

    /// What the server's log and statistics call this client. *(URL only)*
    pub fn app_name(mut self, name: impl Into<String>) -> Self {
        self.settings.app_name = Some(name.into());
        self
    }

    /// How connections are encrypted: [`Disable`](TlsMode::Disable), [`Require`](TlsMode::Require)
    /// or [`VerifyFull`](TlsMode::VerifyFull); the driver has no other mode. *(URL only)*
    ///
    /// Default: `VerifyFull` with `mongodb+srv://` and where a certificate is set, and plain text
    /// with `mongodb://`, as the form of these URLs lays down for all drivers. A store whose
    /// connections leave this machine without protection logs one warning.
    pub fn tls(mut self, mode: TlsMode) -> Self {
        self.settings.tls.mode = Some(mode);
        self
    }

    /// The authorities to trust in place of the well-known ones. *(URL only)*
    pub fn tls_roots(mut self, roots: Pem) -> Self {
        self.settings.tls.roots = Some(roots);
        self
    }

    /// The certificate to show to the server, with its chain, and its key. *(URL only)*
    ///
    /// The driver takes both from one file. If they are not the same file, the store writes them
    /// into one that this user alone can read, in the directory for temporary files, and removes it
    /// with the last handle on the store.
    pub fn tls_client(mut self, certificate: Pem, key: Pem) -> Self {
        self.settings.tls.certificate = Some(certificate);
        self.settings.tls.key = Some(key);
        self
    }

    /// How many connections there are to each server at most. Default: 64; a store with batching
    /// uses about ten; zero: no limit. *(URL only)*
    pub fn pool(mut self, connections: u32) -> Self {
        self.settings.pool = Some(if connections == 0 { u32::MAX } else { connections });
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
    /// [`Unavailable`](session_core::ErrorKind::Unavailable). Default: five seconds; 10
    /// milliseconds is the least, and there is no operation without a deadline.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = deadline.max(Duration::from_millis(10));
        self
    }

    /// How long an attempt to connect may take. Default: two seconds; zero: until the deadline.
    /// *(URL only)*
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = Some(timeout);
        self
    }

    /// How often each server is asked for a sign of life. One that is silent for this and the timeout of connecting together is taken for
    /// dead, and its connections are closed. Default: two seconds; half a second is the least;
    /// zero: never, so that a dead server is noticed by the operating system alone. *(URL only)*
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        let least = Duration::from_millis(500);
        self.settings.heartbeat = Some(if interval.is_zero() { NEVER } else { interval.max(least) });
        self
    }

    /// How often a command without an answer may be sent again within the deadline: questions, and those changes that are recognised if they were carried
    /// out already. Default: ten times; zero: never. No other change is ever sent again.
    pub fn resends(mut self, times: u32) -> Self {
        self.settings.resends = times;
        self
    }

    /// Whether missing indexes are created when the store is opened. They are unless this is set to `false`; then their absence is an error.
    pub fn create_indexes(mut self, create: bool) -> Self {
        self.settings.create_indexes = create;
        self
    }

    /// The longest data of one session, in bytes. Default: 1 MiB; a document of 16 MiB is the most
    /// that MongoDB takes, and what zero stands for.
    pub fn max_data_len(mut self, bytes: usize) -> Self {
        self.settings.max_data_len = if bytes == 0 { MAX_MAX_DATA_LEN } else { bytes.min(MAX_MAX_DATA_LEN) };
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
            let url = Url::parse(url)?;
            let encryption = self.encryption(&url)?;
            let mut login = self.login().await?;
            let (mut options, mut own, mut opened) = self.open(&url, &encryption, login.as_ref()).await?;
            // What a provider knows by heart can be older than the last change.
            if let (Err(error), Some(_)) = (&opened, &self.settings.provider)
                && error.kind() == ErrorKind::Config
            {
                let newer = self.login().await?;
                if newer != login {
                    (options, own, opened) = self.open(&url, &encryption, newer.as_ref()).await?;
                    login = newer;
                }
            }
            let opened = opened?;
            let usage = Use {
                database: opened.database.clone(),
                collection: self.settings.collection.clone(),
                read_preference: self.settings.read_preference.clone(),
                read_concern: self.settings.read_concern.clone(),
                one_member: options.direct_connection == Some(true) && opened.kind == Kind::ReplicaSet,
                numbered: opened.kind != Kind::Standalone,
            };
            let pool = options.max_pool_size.unwrap_or(POOL);
            let connection = Connection::new(own, &usage, login);
            let one_member = usage.one_member;
            let renewal = self.settings.provider.clone().map(|provider| Renewal {
                provider,
                options,
                usage,
                turn: Mutex::default(),
            });
            let connections = Connections::new(connection, renewal, Some(encryption));
            self.finish(connections, &opened, pool, true, one_member)
        };
        timeout(deadline, Box::pin(opening)).await.unwrap_or_else(|_| Err(late(Operation::Connect, false)))
    }

    /// Uses a client that is there already. [`close`](session_core::SessionStore::close) leaves it open.
    ///
    /// The client must not have `directConnection` set for a member of a replica set of several:
    /// the driver then reads from it also when it is no longer the primary, and does not tell a
    /// store that did not make the client.
    ///
    /// # Errors
    /// Those of [`MongoStore::connect`].
    pub async fn with_client(self, client: Client) -> Result<MongoStore> {
        let settings = self.settings.clone();
        let of_the_url = [
            ("credentials", settings.credentials.is_some()),
            ("app_name", settings.app_name.is_some()),
            ("credentials_provider", settings.provider.is_some()),
            ("tls", settings.tls != TlsSettings::default()),
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
            let usage = Use {
                database: opened.database.clone(),
                collection: settings.collection.clone(),
                read_preference: settings.read_preference.clone(),
                read_concern: settings.read_concern.clone(),
                one_member: false,
                numbered: false,
            };
            let connections = Connections::new(Connection::new(client, &usage, None), None, None);
            self.finish(connections, &opened, POOL, false, false)
        };
        timeout(deadline, Box::pin(opening)).await.unwrap_or_else(|_| Err(late(Operation::Connect, false)))
    }

    /// The user and the password that hold now, if they are not those of the URL.
    async fn login(&self) -> Result<Option<Credentials>> {
        match &self.settings.provider {
            Some(provider) => provider.credentials().await.map(Some),
            None => Ok(self.settings.credentials.clone()),
        }
    }

    /// How connections are encrypted, by what is set here or else in the URL.
    fn encryption(&self, url: &Url) -> Result<Encryption> {
        let set = &self.settings.tls;
        let tls = TlsSettings {
            mode: set.mode,
            roots: set.roots.clone().or_else(|| url.tls.roots.clone()),
            certificate: set.certificate.clone().or_else(|| url.tls.certificate.clone()),
            key: set.key.clone().or_else(|| url.tls.key.clone()),
        };
        let has_files = set.roots.is_some() || set.certificate.is_some();
        let mode = set.mode.unwrap_or_else(|| match url.tls_mode() {
            TlsMode::Disable if has_files && url.tls.mode.is_none() => TlsMode::VerifyFull,
            mode => mode,
        });
        let encryption = Encryption::new(mode, &tls)?;
        mode.warn("MongoStore", url.is_local());
        Ok(encryption)
    }

    /// A client with this login, and what its server says.
    async fn open(
        &self,
        url: &Url,
        encryption: &Encryption,
        login: Option<&Credentials>,
    ) -> Result<(ClientOptions, Client, Result<Opened>)> {
        let options = self.options(url, encryption, login).await?;
        let database = options.default_database.clone();
        let client = client(options.clone())?;
        let opened = opening::open(&client, &self.settings, database, Some(&options)).await;
        if opened.is_err() {
            client.clone().shutdown().immediate(true).await;
        }
        Ok((options, client, opened))
    }

    /// The options of the driver: those of the URL, those that are set, and our defaults.
    async fn options(
        &self,
        url: &Url,
        encryption: &Encryption,
        login: Option<&Credentials>,
    ) -> Result<ClientOptions> {
        let settings = &self.settings;
        let mut options = url.options(login).await?;
        options.tls = Some(encryption.options.clone());
        if let Some(name) = &settings.app_name {
            options.app_name = Some(name.clone());
        }
        options.max_pool_size = settings.pool.or(options.max_pool_size).or(Some(POOL));
        let off = Some(Duration::ZERO).filter(|_| url.connects_until_the_deadline);
        options.connect_timeout = settings
            .connect_timeout
            .or(off)
            .or(options.connect_timeout)
            .or(Some(CONNECT_TIMEOUT))
            .map(|timeout| if timeout.is_zero() { settings.deadline } else { timeout });
        options.heartbeat_freq = settings.heartbeat.or(options.heartbeat_freq).or(Some(HEARTBEAT));
        // The wait for a server ends before our deadline, so that the error can say why there was
        // none.
        let selection = options.server_selection_timeout.unwrap_or(settings.deadline);
        options.server_selection_timeout = Some(selection.min(settings.deadline.mul_f64(0.8)));
        Ok(options)
    }

    fn finish(
        self,
        connections: Connections,
        opened: &Opened,
        pool: u32,
        own_client: bool,
        one_member: bool,
    ) -> Result<MongoStore> {
        let settings = self.settings;
        let connections = Arc::new(connections);
        let of_client = || connections.current().client.write_concern().cloned();
        let write_concern = settings.write_concern.or_else(of_client).unwrap_or_default();
        if matches!(write_concern.w, Some(Acknowledgment::Nodes(0))) {
            return Err(config(
                "with the write concern w: 0, it would not be known what came of a change; use 1 or more",
            ));
        }
        let has_oplog = opened.kind != Kind::Standalone;
        let watching =
            has_oplog.then(|| Watching::new(Arc::clone(&connections), one_member, settings.watch_capacity));
        let pool = usize::try_from(pool).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let core = Core {
            own_client,
            connections,
            collection: settings.collection,
            write_concern,
            // So that it is the store that says what came of an operation, and not the batcher.
            deadline: settings.deadline.mul_f64(0.95),
            max_data_len: settings.max_data_len,
            resends: settings.resends,
            watching,
            permits: Arc::new(Semaphore::new(pool)),
            closed: watch::Sender::new(false),
            under_way: RwLock::new(()),
        };
        let store = Batched::new(MongoBackend(Arc::new(core)), settings.batching.deadline(settings.deadline))?;
        Ok(MongoStore { store })
    }
}
