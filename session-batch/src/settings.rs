use std::time::Duration;

/// How operations are gathered. The defaults suit a store on the same network; most programs need no others.
///
/// Zero turns a bound off: then the largest value that the setting can have applies.
///
/// ```
/// use std::time::Duration;
/// use session_batch::BatchSettings;
///
/// let settings = BatchSettings::default().batch_items(64).deadline(Duration::from_secs(2));
/// # let _ = settings;
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct BatchSettings {
    pub(crate) on: bool,
    pub(crate) batch_items: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) in_flight: usize,
    pub(crate) queue: usize,
    pub(crate) queue_bytes: usize,
    pub(crate) deadline: Duration,
}

/// As many changes of one key may wait in any queue, as far as it goes.
const LEAST_PER_KEY: usize = 128;

impl Default for BatchSettings {
    fn default() -> Self {
        Self {
            on: true,
            batch_items: 128,
            batch_bytes: 4 << 20,
            in_flight: 2,
            queue: 8_192,
            queue_bytes: 64 << 20,
            deadline: Duration::from_secs(5),
        }
    }
}

impl BatchSettings {
    /// Gathers nothing: every operation goes straight to the store within. `close` waits for what is under way all the same.
    pub fn off() -> Self {
        Self { on: false, ..Self::default() }
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
    pub fn in_flight(mut self, batches: usize) -> Self {
        self.in_flight = bound(batches, 4);
        self
    }

    /// How many operations of each kind wait for a batch; further callers wait for a place, in
    /// turn. Default: 8,192; zero: 1,048,576, the most.
    ///
    /// Changes of one key may take up an eighth of it, or 128 places if that is more. What exceeds this fails as
    /// [`Unavailable`](session_core::ErrorKind::Unavailable), so that one session under fire does not keep out all others.
    pub fn queue(mut self, operations: usize) -> Self {
        self.queue = bound(operations, 1 << 20);
        self
    }

    /// How many bytes the operations of each kind that wait have together, about 128 for each
    /// beside its data. Further callers wait for room, in turn, and keep their data themselves.
    /// Default: 64 MiB; 4 GiB is the most; zero: no limit but that of the number. An operation that
    /// is larger by itself waits until the queue is empty.
    ///
    /// An operation takes at least the share of these bytes that each of [`queue`](Self::queue)
    /// operations has: 8 KiB by default. So fewer operations than `queue` wait where some are
    /// larger.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// How long an operation may take, waiting included, before its caller is told
    /// [`Unavailable`](session_core::ErrorKind::Unavailable). Default: five seconds; from a
    /// millisecond to a day. There is no operation without a deadline.
    ///
    /// Give the store within a shorter one of its own: it knows best what came of an operation that was sent.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline.clamp(Duration::from_millis(1), Duration::from_hours(24));
        self
    }

    /// How many changes of one key may wait for the one before them.
    pub(crate) fn per_key(&self) -> usize {
        (self.queue / 8).max(LEAST_PER_KEY)
    }
}

/// The bound that is meant: at most `most`, which is also what zero stands for.
fn bound(set: usize, most: usize) -> usize {
    if set == 0 { most } else { set.min(most) }
}
