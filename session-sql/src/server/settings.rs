use std::time::Duration;

use session_batch::BatchSettings;
use session_core::DEFAULT_MAX_DATA_LEN;

use crate::table::Table;

/// What can be set for any server.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) table: Table,
    pub(crate) connections: usize,
    pub(crate) deadline: Duration,
    pub(crate) max_data_len: usize,
    pub(crate) batching: BatchSettings,
    pub(crate) purge_interval: Option<Duration>,
    pub(crate) watch_capacity: usize,
    pub(crate) migrate: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            table: Table::default(),
            connections: 8,
            deadline: Duration::from_secs(5),
            max_data_len: DEFAULT_MAX_DATA_LEN,
            batching: BatchSettings::default(),
            purge_interval: Some(Duration::from_secs(30)),
            watch_capacity: 4_096,
            migrate: true,
        }
    }
}
