use std::time::Duration;

/// The bounds of batching. The defaults suit a server on the same network.
///
/// Zero turns a bound off: the largest value of the setting applies.
///
/// ```
/// use std::time::Duration;
/// use session_backend::BatchSettings;
///
/// let settings = BatchSettings::default().batch_items(64).deadline(Duration::from_secs(2));
/// # let _ = settings;
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct BatchSettings {
    pub(crate) is_enabled: bool,
    pub(crate) batch_items: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) max_in_flight: usize,
    pub(crate) queue_capacity: usize,
    pub(crate) queue_bytes: usize,
    pub(crate) deadline: Duration,
}

/// The number of changes of one key that may be queued, however small the queue is.
const LEAST_PER_KEY: usize = 128;

impl Default for BatchSettings {
    fn default() -> Self {
        Self {
            is_enabled: true,
            batch_items: 128,
            batch_bytes: 4 << 20,
            max_in_flight: 2,
            queue_capacity: 8_192,
            queue_bytes: 64 << 20,
            deadline: Duration::from_secs(5),
        }
    }
}

impl BatchSettings {
    /// No batching: every operation is sent by itself, at once. `close` still waits for operations in
    /// flight.
    pub fn disabled() -> Self {
        Self { is_enabled: false, ..Self::default() }
    }

    /// The most operations in a batch. Default: 128; zero: no limit but that of the bytes.
    pub fn batch_items(mut self, items: usize) -> Self {
        self.batch_items = bound(items, usize::MAX);
        self
    }

    /// The most bytes that the operations of a batch have together, about 128 for each beside its
    /// data. Default: 4 MiB; zero: no limit but that of the number. An operation that is larger by
    /// itself travels alone.
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.batch_bytes = bound(bytes, usize::MAX);
        self
    }

    /// How many batches of each kind of operation (reads, writes, touches, deletes) are under way
    /// at a time, 1 to 4. Default: two, so that one goes while the other comes; zero: four. An
    /// operation that is sent alone counts as a batch.
    pub fn max_in_flight(mut self, batches: usize) -> Self {
        self.max_in_flight = bound(batches, 4);
        self
    }

    /// How many operations of each kind wait for a batch; further callers wait for a place, in
    /// turn. Default: 8,192; zero: 1,048,576, the most.
    ///
    /// Changes of one key may take up an eighth of it, or 128 places if that is more. A further one
    /// fails as [`Unavailable`](session_core::ErrorKind::Unavailable), so that one busy session does
    /// not keep out all others.
    pub fn queue_capacity(mut self, operations: usize) -> Self {
        self.queue_capacity = bound(operations, 1 << 20);
        self
    }

    /// How many bytes the operations of each kind that wait have together, about 128 for each
    /// beside its data. Further callers wait for room, in turn, and keep their data themselves.
    /// Default: 64 MiB; 4 GiB is the most; zero: no limit but that of the number. An operation that
    /// is larger by itself waits until the queue is empty.
    ///
    /// An operation takes at least the share of these bytes that each of [`queue_capacity`](Self::queue_capacity)
    /// operations has: 8 KiB by default. So fewer operations than `queue_capacity` wait where some are
    /// larger.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// How long an operation may take, waiting included, before its caller is told
    /// [`Unavailable`](session_core::ErrorKind::Unavailable). Default: five seconds; from a
    /// millisecond to a day. There is no operation without a deadline.
    ///
    /// The inner store should have a shorter one of its own: it knows whether an operation that was
    /// sent may have been applied.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline.clamp(Duration::from_millis(1), Duration::from_hours(24));
        self
    }

    /// The number of changes of one key that may wait for the one before them.
    pub(crate) fn max_per_key(&self) -> usize {
        (self.queue_capacity / 8).max(LEAST_PER_KEY)
    }
}

/// Zero stands for `most`, which is also the largest value.
fn bound(set: usize, most: usize) -> usize {
    if set == 0 { most } else { set.min(most) }
}
