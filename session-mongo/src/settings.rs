use std::time::Duration;

use mongodb::options::{ReadConcern, SelectionCriteria, WriteConcern};
use session_backend::BatchSettings;
use session_backend::{Credentials, SharedProvider, TlsSettings};
use session_core::DEFAULT_MAX_DATA_LEN;

/// All settings. `None` means that the URL or the client decides.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) database: Option<String>,
    pub(crate) collection: String,
    pub(crate) app_name: Option<String>,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) provider: Option<SharedProvider>,
    pub(crate) tls: TlsSettings,
    pub(crate) pool: Option<u32>,
    pub(crate) write_concern: Option<WriteConcern>,
    pub(crate) read_concern: Option<ReadConcern>,
    pub(crate) read_preference: Option<SelectionCriteria>,
    pub(crate) deadline: Duration,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) heartbeat: Option<Duration>,
    pub(crate) max_retries: u32,
    pub(crate) create_indexes: bool,
    pub(crate) max_data_len: usize,
    pub(crate) batching: BatchSettings,
    pub(crate) watch_capacity: usize,
}

/// The longest document is 16 MiB (`maxBsonObjectSize`), and so must be the change that writes it.
pub(crate) const MAX_MAX_DATA_LEN: usize = (16 << 20) - (8 << 10);

/// The maximum number of connections to each server. The driver's 10 are too few for an application
/// that waits for several batches.
pub(crate) const POOL: u32 = 64;

pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(2);

/// The interval of a heartbeat that is turned off. The driver cannot turn it off, and checks a
/// server anyway when an operation finds none.
pub(crate) const NEVER: Duration = Duration::from_hours(24);

impl Default for Settings {
    fn default() -> Self {
        Self {
            database: None,
            collection: "sessions".to_owned(),
            app_name: None,
            credentials: None,
            provider: None,
            tls: TlsSettings::default(),
            pool: None,
            write_concern: None,
            read_concern: None,
            read_preference: None,
            deadline: Duration::from_secs(5),
            connect_timeout: None,
            heartbeat: None,
            max_retries: 10,
            create_indexes: true,
            max_data_len: DEFAULT_MAX_DATA_LEN,
            batching: BatchSettings::default(),
            watch_capacity: 4_096,
        }
    }
}
