use std::{sync::Arc, time::Duration};

use mongodb::{
    Client,
    options::{Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern},
};
use session_backend::{BatchSettings, Batched};
use session_backend::{Credentials, CredentialsProvider, Pem, SharedProvider, TlsMode, TlsSettings};
use session_core::{ErrorKind, Operation, Result};
use tokio::{
    sync::{Mutex, RwLock, Semaphore, watch},
    time::timeout,
};

use crate::{
    backend::MongoBackend,
    connect::{self, Opened},
    connection::{Connection, Connections, Renewal, Use, client},
    core::Core,
    errors::{config, late},
    server::Kind,
    settings::{CONNECT_TIMEOUT, HEARTBEAT, MAX_MAX_DATA_LEN, NEVER, POOL, Settings},
    store::MongoStore,
    tls::Encryption,
    url::Url,
    watch::Watching,
};

/// The settings of a [`MongoStore`], made by [`MongoStore::builder`].
///
/// These settings overrule the URL. Zero turns a limit or an interval off; each setting says what
/// that means. With an existing client, the client's own connection settings apply, and the
/// settings marked *(URL only)* are refused.
#[derive(Clone, Debug, Default)]
#[must_use = "settings do nothing until the store is opened"]
pub struct MongoStoreBuilder {
    settings: Settings,
}

impl MongoStoreBuilder {
    /// The database. Default: the one in the path of the URL, or else `session`.
    pub fn database(mut self, name: impl Into<String>) -> Self {
        self.settings.database = Some(name.into());
        self
    }

    /// The collection, which holds only the sessions of this store. Default: `sessions`.
    pub fn collection(mut self, name: impl Into<String>) -> Self {
        self.settings.collection = name.into();
        self
    }

    /// The user and the password. *(URL only)*
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.settings.credentials = Some(Credentials::new(user, password));
        self
    }

    /// A provider of the user and the password, for credentials that change while the program runs.
    /// *(URL only)*
    ///
    /// The store asks the provider when it is opened, and again when the server refuses the login,
    /// or a permission to the user. The driver keeps the login of a client for ever, so the store
    /// then creates another client with the new credentials, and the operation continues with that.
    /// Until the provider has credentials that the server accepts, operations fail as
    /// [`Unavailable`](session_core::ErrorKind::Unavailable). The other login options of the URL,
    /// such as `authSource`, still apply.
    pub fn credentials_provider(mut self, provider: impl CredentialsProvider) -> Self {
        self.settings.provider = Some(SharedProvider::new(provider));
        self
    }

    /// The name of this client in the server's log and statistics. *(URL only)*
    pub fn app_name(mut self, name: impl Into<String>) -> Self {
        self.settings.app_name = Some(name.into());
        self
    }

    /// How connections are encrypted: [`Disable`](TlsMode::Disable), [`Require`](TlsMode::Require)
    /// or [`VerifyFull`](TlsMode::VerifyFull); the driver has no other mode. *(URL only)*
    ///
    /// Default: `VerifyFull` with `mongodb+srv://` and where a certificate is set, and otherwise
    /// plain text, as the format of `mongodb://` URLs prescribes for all drivers. A store whose
    /// connections leave this machine unprotected logs one warning.
    pub fn tls(mut self, mode: TlsMode) -> Self {
        self.settings.tls.mode = Some(mode);
        self
    }

    /// The certificates of the authorities to trust instead of the well-known ones. *(URL only)*
    pub fn tls_roots(mut self, roots: Pem) -> Self {
        self.settings.tls.roots = Some(roots);
        self
    }

    /// The client certificate with its chain, and its key. *(URL only)*
    ///
    /// The driver reads both from one file. If they are not in the same file, the store writes them
    /// to a temporary file that this user alone can read. The store removes that file with its last
    /// handle.
    pub fn tls_client(mut self, certificate: Pem, key: Pem) -> Self {
        self.settings.tls.certificate = Some(certificate);
        self.settings.tls.key = Some(key);
        self
    }

    /// The maximum number of connections to each server. Default: 64, of which a store with
    /// batching uses about ten; zero: no limit. *(URL only)*
    pub fn pool(mut self, connections: u32) -> Self {
        self.settings.pool = Some(if connections == 0 { u32::MAX } else { connections });
        self
    }

    /// When a change counts as done. Default: as in the URL, or else when a majority has it, so
    /// that no failover can undo it.
    ///
    /// [`w: 1`](mongodb::options::Acknowledgment::Nodes) is faster, and [loses
    /// that](crate#what-a-failover-or-a-crash-can-take-back).
    pub fn write_concern(mut self, concern: WriteConcern) -> Self {
        self.settings.write_concern = Some(concern);
        self
    }

    /// How durable the results of [`read`](session_core::SessionStore::read) must be. Default: as
    /// in the URL, or else the server's default, `local`.
    pub fn read_concern(mut self, concern: ReadConcern) -> Self {
        self.settings.read_concern = Some(concern);
        self
    }

    /// Which server [`read`](session_core::SessionStore::read) and `read_many` ask. Default: as in
    /// the URL, or else the primary.
    ///
    /// Other servers lag behind the primary, so reads from them can be stale. Conditions are always
    /// judged by the primary.
    pub fn read_preference(mut self, preference: ReadPreference) -> Self {
        self.settings.read_preference = Some(SelectionCriteria::ReadPreference(preference));
        self
    }

    /// How long an operation may take, waits and retries included, before its caller gets
    /// [`Unavailable`](session_core::ErrorKind::Unavailable). Default: five seconds; minimum: 10
    /// milliseconds. There is no operation without a deadline.
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

    /// The interval of the heartbeat to each server. Default: two seconds; minimum: half a second;
    /// zero: never. *(URL only)*
    ///
    /// A server that is silent for this interval and the connect timeout together is taken for
    /// dead, and its connections are closed. Without a heartbeat, only the operating system notices
    /// a dead server.
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        let least = Duration::from_millis(500);
        self.settings.heartbeat = Some(if interval.is_zero() { NEVER } else { interval.max(least) });
        self
    }

    /// How often a command without an answer may be sent again within the deadline. Default: ten
    /// times; zero: never.
    ///
    /// This applies to commands that change nothing, and to changes that are recognised if they
    /// were already carried out. No other change is ever sent again.
    pub fn max_retries(mut self, times: u32) -> Self {
        self.settings.max_retries = times;
        self
    }

    /// Whether missing indexes are created when the store is opened. Default: `true`; with `false`,
    /// a missing index is an error.
    pub fn create_indexes(mut self, create: bool) -> Self {
        self.settings.create_indexes = create;
        self
    }

    /// The longest data of one session, in bytes. Default: 1 MiB; maximum, and for zero: what fits
    /// into a document of 16 MiB, the limit of MongoDB.
    pub fn max_data_len(mut self, bytes: usize) -> Self {
        self.settings.max_data_len = if bytes == 0 { MAX_MAX_DATA_LEN } else { bytes.min(MAX_MAX_DATA_LEN) };
        self
    }

    /// How concurrent operations are batched. Default: [`BatchSettings::default`];
    /// [`BatchSettings::disabled`] turns batching off. The deadline in these settings is ignored:
    /// that of the store applies.
    pub fn batching(mut self, settings: BatchSettings) -> Self {
        self.settings.batching = settings;
        self
    }

    /// How many events a listener may lag behind before it is told that it has missed some.
    /// Default: 4,096; from one to 16 million.
    pub fn watch_capacity(mut self, events: usize) -> Self {
        self.settings.watch_capacity = events.clamp(1, 1 << 24);
        self
    }

    /// Connects to the servers that `url` names.
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
            // Credentials that a provider has cached can be older than the last change.
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
                retryable: opened.kind != Kind::Standalone,
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

    /// Uses an existing client. [`close`](session_core::SessionStore::close) leaves it open.
    ///
    /// The client must not have `directConnection` set for a member of a replica set of several.
    /// The driver would read from that member even when it is no longer the primary, without
    /// telling the store.
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
            let opened = connect::open(&client, &settings, database, None).await?;
            let usage = Use {
                database: opened.database.clone(),
                collection: settings.collection.clone(),
                read_preference: settings.read_preference.clone(),
                read_concern: settings.read_concern.clone(),
                one_member: false,
                retryable: false,
            };
            let connections = Connections::new(Connection::new(client, &usage, None), None, None);
            self.finish(connections, &opened, POOL, false, false)
        };
        timeout(deadline, Box::pin(opening)).await.unwrap_or_else(|_| Err(late(Operation::Connect, false)))
    }

    /// The current user and password, if they are not those of the URL.
    async fn login(&self) -> Result<Option<Credentials>> {
        match &self.settings.provider {
            Some(provider) => provider.credentials().await.map(Some),
            None => Ok(self.settings.credentials.clone()),
        }
    }

    /// How connections are encrypted, by the settings or else by the URL.
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

    /// A client with this login, and what its server reports.
    async fn open(
        &self,
        url: &Url,
        encryption: &Encryption,
        login: Option<&Credentials>,
    ) -> Result<(ClientOptions, Client, Result<Opened>)> {
        let options = self.options(url, encryption, login).await?;
        let database = options.default_database.clone();
        let client = client(options.clone())?;
        let opened = connect::open(&client, &self.settings, database, Some(&options)).await;
        if opened.is_err() {
            client.clone().shutdown().immediate(true).await;
        }
        Ok((options, client, opened))
    }

    /// The options of the driver, from the settings, the URL and the defaults.
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
        // The wait for a server ends before the store's deadline, so that the error can say why
        // there was none.
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
            // Shorter, so that the store and not the batcher reports the outcome of an operation.
            deadline: settings.deadline.mul_f64(0.95),
            max_data_len: settings.max_data_len,
            max_retries: settings.max_retries,
            watching,
            permits: Arc::new(Semaphore::new(pool)),
            closed: watch::Sender::new(false),
            under_way: RwLock::new(()),
        };
        let store =
            Batched::new(MongoBackend(Arc::new(core)), settings.batching.deadline(settings.deadline))?;
        Ok(MongoStore { store })
    }
}
