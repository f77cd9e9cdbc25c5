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

/// The setters that the builders of all servers have.
macro_rules! shared_setters {
    () => {
        /// How long an operation may take, waiting included, before its caller is told
        /// [`Unavailable`](session_core::ErrorKind::Unavailable). Five seconds unless set; 10 milliseconds is the least. Opening the store may take
        /// ten seconds, whatever is set.
        pub fn deadline(mut self, deadline: Duration) -> Self {
            self.settings.deadline = deadline.max(Duration::from_millis(10));
            self
        }

        /// How concurrent operations are gathered, or `None` for each by itself. [`BatchSettings::default`] unless set.
        pub fn batching(mut self, settings: Option<BatchSettings>) -> Self {
            self.settings.batching = settings.unwrap_or_else(BatchSettings::off);
            self
        }

        /// About how long expired sessions may take up space, and their expiry go unreported; `None` leaves the purging to others. 30 seconds
        /// unless set. Expired sessions are invisible at once, whatever is set here.
        pub fn purge_interval(mut self, interval: Option<Duration>) -> Self {
            self.settings.purge_interval = interval.map(|interval| interval.max(Duration::from_millis(1)));
            self
        }

        /// How many events a listener may be behind before it is told that it has missed some. 4,096 unless set; from one to 16 million.
        pub fn watch_capacity(mut self, events: usize) -> Self {
            self.settings.watch_capacity = events.clamp(1, 1 << 24);
            self
        }

        /// Whether connecting makes and renews the tables where needed, which takes a user who may. With `false` it only checks them, and says
        /// what is missing. On unless set.
        pub fn migrate(mut self, migrate: bool) -> Self {
            self.settings.migrate = migrate;
            self
        }
    };
}
pub(crate) use shared_setters;
