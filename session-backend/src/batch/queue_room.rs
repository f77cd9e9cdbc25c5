use std::{future::Future, sync::Arc};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use super::settings::BatchSettings;

/// The room in the queue, in bytes and in number. A caller that finds none waits, first in, first
/// out.
///
/// One semaphore holds both bounds: an operation takes its bytes, and at least the share of the
/// bytes that each of `queue_capacity` operations has. So neither bound is exceeded, and a small operation
/// does not overtake a large one that waits for room.
#[derive(Debug)]
pub(crate) struct QueueRoom {
    room: Arc<Semaphore>,
    /// What the smallest operation takes.
    least: u32,
    /// All the room there is. A larger operation takes that much: it waits until the queue is
    /// empty.
    most: u32,
}

impl QueueRoom {
    pub(crate) fn new(settings: &BatchSettings) -> Self {
        let in_units = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let queue = in_units(settings.queue_capacity);
        let (all, most) = match in_units(settings.queue_bytes) {
            0 => (queue, 1),
            bytes => (bytes, bytes),
        };
        let least = (all / queue).clamp(1, most);
        Self { room: Arc::new(Semaphore::new(all as usize)), least, most }
    }

    /// Waits for room for an operation of this many bytes. The room is free again when what it
    /// returns is dropped.
    pub(crate) fn acquire(
        &self,
        bytes: usize,
    ) -> impl Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + use<> {
        let share = u32::try_from(bytes).unwrap_or(u32::MAX).clamp(self.least, self.most);
        Arc::clone(&self.room).acquire_many_owned(share)
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::BatchSettings;
    use super::QueueRoom;

    #[test]
    fn shares() {
        let shares = |settings: BatchSettings| {
            let queue = QueueRoom::new(&settings);
            (queue.room.available_permits(), queue.least, queue.most)
        };
        let settings = BatchSettings::default();
        assert_eq!(shares(settings.queue_capacity(4).queue_bytes(1_000)), (1_000, 250, 1_000));
        assert_eq!(shares(settings.queue_capacity(4).queue_bytes(3)), (3, 1, 3));
        assert_eq!(shares(settings.queue_capacity(4).queue_bytes(0)), (4, 1, 1));
        assert_eq!(shares(settings.queue_capacity(0).queue_bytes(0)), (1 << 20, 1, 1));
        assert_eq!(shares(settings.queue_bytes(usize::MAX)), (u32::MAX as usize, u32::MAX / 8_192, u32::MAX));
    }
}
