use std::time::Duration;

use session_backend::BatchSettings;
use session_backend::{CredentialsProvider, Pem, SharedProvider, TlsMode};
use session_core::{Error, Operation, Result};
use tokio::time::timeout;

use crate::{
    address::AddressMap,
    connect::open,
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
    /// The prefix of all keys of this store, which separates them from all others in the database:
    /// 1 to 64 letters, digits, or any of `_-.:/`. Default: `session`.
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.settings.namespace = name.into();
        self
    }

    /// The user of the server's access control list. Default: `default`.
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

    /// A provider of the user and the password, for credentials that change while the program runs.
    ///
    /// It overrules the credentials set here or in the URL; only their user applies if the provider
    /// names none. The store asks the provider before each connection, and again at the next
    /// attempt after the server has refused the login. The time that the provider takes counts
    /// against the deadline of the operation that waits for the connection, and not against
    /// [`connect_timeout`](Self::connect_timeout). The store replaces a connection that the server
    /// ends, or on which it asks for a login again. The sentinels have a login of their own.
    pub fn credentials(mut self, provider: impl CredentialsProvider) -> Self {
        self.settings.login.provider = Some(SharedProvider::new(provider));
        self
    }

    /// The user and the password for the sentinels, if they require a login. The store does not try
    /// the login of the servers there.
    pub fn sentinel_login(mut self, user: Option<String>, password: impl Into<String>) -> Self {
        let password: String = password.into();
        self.settings.sentinel_login = Login { user, password: Some(password.into()), provider: None };
        self
    }

    /// The number of the database. Default: 0; a cluster has no other.
    pub fn database(mut self, number: u32) -> Self {
        self.settings.database = number;
        self
    }

    /// The name of this store's connections on the server, as in `CLIENT LIST`. Default: none.
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.settings.client_name = Some(name.into());
        self
    }

    /// How connections are encrypted, and what the servers must prove. Default: by the scheme of
    /// the URL.
    ///
    /// `rediss` is [`VerifyFull`](TlsMode::VerifyFull), and `redis` is
    /// [`Disable`](TlsMode::Disable). With `Disable`, the store warns once when a server is not on
    /// this machine. [`Prefer`](TlsMode::Prefer) is refused, because a port of Redis either speaks
    /// TLS or does not.
    pub fn tls(mut self, mode: TlsMode) -> Self {
        self.settings.tls.mode = Some(mode);
        self
    }

    /// The certificates of the authorities to trust instead of the system's, in PEM. Only with TLS.
    ///
    /// A self-signed server certificate, such as `openssl req -x509` makes, is accepted, too. The
    /// store then trusts the server that presents exactly this certificate, has its key, and is
    /// named in it.
    pub fn tls_roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.settings.tls.roots = Some(Pem::Content(pem.into()));
        self
    }

    /// The client certificate with its chain, and its key, both in PEM. Only with TLS.
    pub fn tls_client(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.settings.tls.certificate = Some(Pem::Content(certificate.into()));
        self.settings.tls.key = Some(Pem::Content(key.into()));
        self
    }

    /// Where to reach the servers that a cluster or the sentinels announce. Default: at the
    /// announced addresses.
    ///
    /// Set this where the announced addresses cannot be reached: behind NAT, in Docker, or through
    /// a tunnel. The function takes each announced host and port, and returns those to connect to.
    /// With TLS, the certificate must name the returned host. The addresses in the URL are used
    /// unchanged.
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

    /// The number of connections to each server, 1 to 64. Default: one.
    ///
    /// Requests share connections, and one connection carries more than a server can process.
    /// Several connections help where the server's network threads or large sessions make the
    /// connection the bottleneck.
    pub fn connections(mut self, number: usize) -> Self {
        self.settings.connections = number.clamp(1, 64);
        self
    }

    /// How long an operation may take, waits and retries included, before its caller gets
    /// [`Unavailable`](session_core::ErrorKind::Unavailable). Default: five seconds; minimum: 10
    /// milliseconds.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = deadline.max(Duration::from_millis(10));
        self
    }

    /// How long an attempt to connect may take. Default: one second. This also bounds how soon
    /// service resumes after an outage.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout.max(Duration::from_millis(10));
        self
    }

    /// The interval of keep-alive requests, and the timeout of each. Default: 500 milliseconds.
    ///
    /// A keep-alive request asks a server whether it is still a primary. If the server does not
    /// answer, or answers that it is not, the store replaces the connections to it.
    pub fn keepalive(mut self, keepalive: Duration) -> Self {
        self.settings.keepalive = Some(keepalive.max(Duration::from_millis(10)));
        self
    }

    /// Turns keep-alive requests off.
    ///
    /// Then only the operating system notices a frozen server, after half a minute. A server that
    /// was made a replica is noticed at the next request, but by the watch only when the connection
    /// breaks.
    pub fn without_keepalive(mut self) -> Self {
        self.settings.keepalive = None;
        self
    }

    /// How often a request whose reply was lost may be sent again within the deadline. Default:
    /// three times.
    ///
    /// This applies to requests that change nothing, and to changes that detect by their version
    /// whether they were already carried out. No other change is ever sent again.
    pub fn max_retries(mut self, times: u32) -> Self {
        self.settings.max_retries = times;
        self
    }

    /// The longest data of one session, in bytes. Default: 1 MiB; maximum: 500 MB, the limit of
    /// Redis.
    pub fn max_data_len(mut self, bytes: usize) -> Self {
        self.settings.max_data_len = bytes.min(MAX_MAX_DATA_LEN);
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

    /// Connects to the servers that `url` names. The options of the URL overrule earlier settings.
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
