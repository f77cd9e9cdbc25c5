use std::{fmt, time::Duration};

use session_batch::BatchSettings;
use session_core::DEFAULT_MAX_DATA_LEN;

use crate::address::Address;

/// Where the servers are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Server(Address),
    Sentinel { sentinels: Vec<Address>, service: String },
    Cluster(Vec<Address>),
}

/// A user of the server. Its `Debug` does not show the password.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Certificates for TLS, in PEM. Their `Debug` shows none.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    pub(crate) on: bool,
    pub(crate) roots: Option<Vec<u8>>,
    pub(crate) client: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("on", &self.on).finish_non_exhaustive()
    }
}

/// Everything that can be set, but for the place.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) namespace: String,
    pub(crate) login: Login,
    pub(crate) sentinel_login: Login,
    pub(crate) database: u32,
    pub(crate) tls: Tls,
    pub(crate) connections: usize,
    pub(crate) deadline: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) silence: Duration,
    pub(crate) resends: u32,
    pub(crate) max_data_len: usize,
    pub(crate) batching: BatchSettings,
    pub(crate) watch_capacity: usize,
}

/// What Redis accepts as one value (`proto-max-bulk-len`), less what the rest of a record may need.
pub(crate) const MAX_MAX_DATA_LEN: usize = 500_000_000;

impl Default for Settings {
    fn default() -> Self {
        Self {
            namespace: "session".to_owned(),
            login: Login::default(),
            sentinel_login: Login::default(),
            database: 0,
            tls: Tls::default(),
            connections: 1,
            deadline: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(1),
            silence: Duration::from_millis(500),
            resends: 3,
            max_data_len: DEFAULT_MAX_DATA_LEN,
            batching: BatchSettings::default(),
            watch_capacity: 4_096,
        }
    }
}
