use std::time::Duration;

use session_backend::BatchSettings;
use session_backend::{Credentials, CredentialsProvider, Secret, SharedProvider, TlsMode, TlsSettings};
use session_core::{DEFAULT_MAX_DATA_LEN, Result};

use crate::address::{Address, AddressMap};

/// Where the servers are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Server(Address),
    Sentinel { sentinels: Vec<Address>, service: String },
    Cluster(Vec<Address>),
}

/// How to log in: with the credentials of the provider, or else with these.
#[derive(Clone, Debug, Default)]
pub(crate) struct Login {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) provider: Option<SharedProvider>,
}

impl Login {
    /// The credentials for a login now, if there are any.
    pub(crate) async fn credentials(&self) -> Result<Option<Credentials>> {
        let mut credentials = match (&self.provider, &self.password) {
            (Some(provider), _) => provider.credentials().await?,
            (None, Some(password)) => Credentials { user: None, password: password.clone() },
            (None, None) => return Ok(None),
        };
        credentials.user = credentials.user.or_else(|| self.user.clone());
        Ok(Some(credentials))
    }
}

/// All settings except where the servers are.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) namespace: String,
    pub(crate) login: Login,
    pub(crate) sentinel_login: Login,
    pub(crate) database: u32,
    pub(crate) client_name: Option<String>,
    pub(crate) tls: TlsSettings,
    /// The TLS mode of the URL's scheme.
    pub(crate) scheme: Option<TlsMode>,
    pub(crate) addresses: AddressMap,
    pub(crate) connections: usize,
    pub(crate) deadline: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) keepalive: Option<Duration>,
    pub(crate) max_retries: u32,
    pub(crate) max_data_len: usize,
    pub(crate) batching: BatchSettings,
    pub(crate) watch_capacity: usize,
}

/// The longest value that Redis accepts (`proto-max-bulk-len`), less room for the rest of a record.
pub(crate) const MAX_MAX_DATA_LEN: usize = 500_000_000;

impl Default for Settings {
    fn default() -> Self {
        Self {
            namespace: "session".to_owned(),
            login: Login::default(),
            sentinel_login: Login::default(),
            database: 0,
            client_name: None,
            tls: TlsSettings::default(),
            scheme: None,
            addresses: AddressMap::default(),
            connections: 1,
            deadline: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(1),
            keepalive: Some(Duration::from_millis(500)),
            max_retries: 3,
            max_data_len: DEFAULT_MAX_DATA_LEN,
            batching: BatchSettings::default(),
            watch_capacity: 4_096,
        }
    }
}
