use std::time::Duration;

use session_backend::{CredentialsProvider, Pem, SharedProvider, TlsMode};
use session_backend::BatchSettings;
use session_core::{Error, Operation, Result};
use tokio::time::timeout;

use crate::{
    address::AddressMap,
    opening::open,
    settings::{Login, MAX_MAX_DATA_LEN, Settings},
    store::RedisStore,
    url,
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
        let password: String = password.into();
        self.settings.login.password = Some(password.into());
        self
    }

    /// Where the user and the password come from, when they change while the program runs.
    /// Overrules those that are set here or in the URL, but for the user if the provider names
    /// none.
    ///
    /// The provider is asked before each connection, and again at the next attempt when the server
    /// refused the login; how long it takes counts against the deadline of what waits for the
    /// connection, and not against [`connect_timeout`](Self::connect_timeout). A connection that
    /// the server ends, or on which it asks for a login again, is made anew. The sentinels have a
    /// login of their own.
    pub fn credentials(mut self, provider: impl CredentialsProvider) -> Self {
        self.settings.login.provider = Some(SharedProvider::new(provider));
        self
    }

    /// The user and the password for the sentinels, if they ask for any. Those of the servers are not tried.
    pub fn sentinel_login(mut self, user: Option<String>, password: impl Into<String>) -> Self {
        let password: String = password.into();
        self.settings.sentinel_login = Login { user, password: Some(password.into()), provider: None };
        self
    }

    /// The number of the database. 0 unless set; a cluster has no other.
    pub fn database(mut self, number: u32) -> Self {
        self.settings.database = number;
        self
    }

    /// What the server calls the connections of this store, as in `CLIENT LIST`. None unless set.
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.settings.client_name = Some(name.into());
        self
    }

    /// How connections are encrypted, and what the servers must prove. Unless set, the scheme of
    /// the URL decides: `rediss` is [`VerifyFull`](TlsMode::VerifyFull), and `redis` is
    /// [`Disable`](TlsMode::Disable), about which the store warns once when a server is not on this
    /// machine. [`Prefer`](TlsMode::Prefer) is refused, because a port of Redis speaks TLS or does
    /// not.
    pub fn tls(mut self, mode: TlsMode) -> Self {
        self.settings.tls.mode = Some(mode);
        self
    }

    /// The certificates of the authorities to trust instead of the system's, in PEM. Only with TLS.
    ///
    /// A certificate that a server made for itself can be given, too, such as `openssl req -x509`
    /// makes: then the server is trusted that shows exactly this one, has its key, and is named in
    /// it.
    pub fn tls_roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.settings.tls.roots = Some(Pem::Content(pem.into()));
        self
    }

    /// The certificate to show to the server, with its chain, and its key, both in PEM. Only with
    /// TLS.
    pub fn tls_client(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.settings.tls.certificate = Some(Pem::Content(certificate.into()));
        self.settings.tls.key = Some(Pem::Content(key.into()));
        self
    }

    /// Where to reach the servers that a cluster or the sentinels announce, when that is not where
    /// they say: behind NAT, in Docker, or through a tunnel. The function is given each announced
    /// host and port, and returns those to connect to; with TLS, the certificate must name that
    /// host. The addresses in the URL are taken as they are. Unless set, all are.
    ///
    /// ```
    /// # use session_redis::RedisStore;
    /// let builder = RedisStore::builder().address_map(|_announced, port| ("127.0.0.1".to_owned(), port));
    /// # let _ = builder;
    /// ```
    pub fn address_map(mut self, reach: impl Fn(&str, u16) -> (String, u16) + Send + Sync + 'static) -> Self {
        self.settings.addresses = AddressMap::new(reach);
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

    /// How often a server is asked whether it is still there and still a primary, and again how
    /// long the answer may take. When none comes, or another one, its connections are made anew.
    /// Default: 500 milliseconds.
    pub fn silence(mut self, silence: Duration) -> Self {
        self.settings.silence = Some(silence.max(Duration::from_millis(10)));
        self
    }

    /// Never asks by itself: a server that is frozen is noticed by the system alone, after half a
    /// minute, and a server that was made a replica at the next request, but by the watch not
    /// before the connection breaks.
    pub fn without_silence(mut self) -> Self {
        self.settings.silence = None;
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
        let deadline = builder.settings.deadline;
        timeout(deadline, open(builder.settings, place)).await.unwrap_or_else(|_| {
            Err(Error::unavailable(Operation::Connect, false)
                .because("there was no answer within the deadline"))
        })
    }
}
