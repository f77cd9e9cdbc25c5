use std::time::Duration;

use session_backend::{CredentialsProvider, SharedProvider};

/// Settings with the same meaning for every engine, for [`connect_with`](crate::connect_with).
///
/// A setting that is not set here has the engine's own default. An option of the URL has precedence
/// over the same setting here, so that a deployment can change it without a new build.
///
/// ```
/// use std::time::Duration;
///
/// use session_connect::ConnectOptions;
///
/// let options = ConnectOptions::new().namespace("shop").deadline(Duration::from_secs(2));
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "settings do nothing until `connect_with` is called"]
pub struct ConnectOptions {
    pub(crate) namespace: Option<String>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) max_data_len: Option<usize>,
    pub(crate) watch_capacity: Option<usize>,
    pub(crate) credentials: Option<SharedProvider>,
}

impl ConnectOptions {
    /// Options without any setting.
    pub fn new() -> Self {
        Self::default()
    }

    /// Separates applications that share a server: the table of an SQL database, the namespace of
    /// the keys in Redis, the collection in MongoDB. A store in memory is always separate.
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespace = Some(name.into());
        self
    }

    /// Maximum duration of an operation before it fails as `Unavailable`. A store in memory never
    /// waits, and ignores it.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Maximum size of a session's data, in bytes.
    pub fn max_data_len(mut self, bytes: usize) -> Self {
        self.max_data_len = Some(bytes);
        self
    }

    /// The number of events that a subscriber of the watch may be behind before it is told that it
    /// missed some.
    pub fn watch_capacity(mut self, events: usize) -> Self {
        self.watch_capacity = Some(events);
        self
    }

    /// Asks `provider` for the user name and password whenever a connection is opened, for logins
    /// that change. SQLite and a store in memory have no login, and ignore it.
    pub fn credentials(mut self, provider: impl CredentialsProvider) -> Self {
        self.credentials = Some(SharedProvider::new(provider));
        self
    }
}
