use std::time::Duration;

use crate::lane::Bounds;

/// How operations are gathered.
///
/// The defaults are what measured best on PostgreSQL, MariaDB, MongoDB and Redis.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct BatchSettings {
    pub(crate) bounds: Bounds,
    pub(crate) queue: usize,
    pub(crate) deadline: Duration,
}

impl Default for BatchSettings {
    fn default() -> Self {
        Self {
            bounds: Bounds { batch_items: 128, batch_bytes: 4 << 20, in_flight: 2 },
            queue: 8_192,
            deadline: Duration::from_secs(5),
        }
    }
}

impl BatchSettings {
    /// The most operations in a batch. 128 unless set; one is the least.
    pub fn batch_items(mut self, items: usize) -> Self {
        self.bounds.batch_items = items.max(1);
        self
    }

    /// About how many bytes a batch may have; a single larger operation travels alone. 4 MiB unless set.
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.bounds.batch_bytes = bytes;
        self
    }

    /// How many batches of each kind of operation are under way at a time, 1 to 4. Two unless set: one goes while the other comes.
    pub fn in_flight(mut self, batches: usize) -> Self {
        self.bounds.in_flight = batches.clamp(1, 4);
        self
    }

    /// How many operations of each kind may wait for a batch; further callers wait for a place. 8,192 unless set; one is the least.
    pub fn queue(mut self, operations: usize) -> Self {
        self.queue = operations.clamp(1, 1 << 20);
        self
    }

    /// How long an operation may take, waiting included, before its caller is told
    /// [`Unavailable`](session_core::ErrorKind::Unavailable). Five seconds unless set.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}
