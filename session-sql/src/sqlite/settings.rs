use std::{path::PathBuf, time::Duration};

use session_backend::BatchSettings;
use session_core::DEFAULT_MAX_DATA_LEN;

use crate::table::Table;

/// How much a crash of the operating system or a power failure can take back. A crash of the
/// process alone never takes back anything that was acknowledged, in any mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Synchronous {
    /// The database stays intact. The last changes before the crash may be lost, a logout among
    /// them: at worst all since the last checkpoint, in practice those that the operating system
    /// had not written yet (about 30 seconds on Linux).
    #[default]
    Normal,
    /// Nothing that was acknowledged is lost, if the disk keeps what it says it has. Every batch
    /// waits for the disk once.
    Full,
    /// The database may be damaged. For data that may be lost altogether, such as that of tests.
    Off,
}

impl Synchronous {
    /// The value of `PRAGMA synchronous`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Normal => "NORMAL",
            Self::Full => "FULL",
            Self::Off => "OFF",
        }
    }
}

/// Where the database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    File { path: PathBuf, create: bool },
    Memory,
}

/// All settings except the place.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) table: Table,
    pub(crate) synchronous: Synchronous,
    pub(crate) readers: usize,
    pub(crate) deadline: Duration,
    pub(crate) max_data_len: usize,
    pub(crate) batching: Option<BatchSettings>,
    pub(crate) purge_interval: Option<Duration>,
    pub(crate) watch_capacity: usize,
    pub(crate) wal_autocheckpoint: u32,
    pub(crate) cache_kib: u32,
    pub(crate) mmap_size: u64,
}

/// The longest value that SQLite accepts, less what the rest of a row may need.
pub(crate) const MAX_MAX_DATA_LEN: usize = 900_000_000;

impl Default for Settings {
    fn default() -> Self {
        Self {
            table: Table::default(),
            synchronous: Synchronous::default(),
            readers: 4,
            deadline: Duration::from_secs(5),
            max_data_len: DEFAULT_MAX_DATA_LEN,
            batching: Some(BatchSettings::default()),
            purge_interval: Some(Duration::from_secs(30)),
            watch_capacity: 4_096,
            wal_autocheckpoint: 8_000,
            cache_kib: 16_384,
            mmap_size: 1 << 30,
        }
    }
}
