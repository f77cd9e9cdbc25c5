use session_core::SessionKey;
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    time::Instant,
};

/// What one kind of operation needs to be batched.
pub(crate) trait Item: Send + Sync + Sized + 'static {
    /// What the caller gets.
    type Outcome: Send + 'static;

    /// Whether it changes records. Two changes of one key are never under way at the same time.
    const CHANGES: bool;

    fn key(&self) -> &SessionKey;

    /// About how many bytes it puts into a batch.
    fn bytes(&self) -> usize;

    /// One operation that does what this and then `next`, of the same key, would do, if that can be said before either is sent. `largest` is how
    /// much data a record may have.
    fn joined(&self, _next: &Self, _largest: usize) -> Option<Self> {
        None
    }
}

/// Operations that leave together.
pub(crate) struct Departing<I: Item> {
    pub(crate) waiting: Vec<Waiting<I>>,
    /// What waits under this ticket or a lower one was asked for before they left.
    pub(crate) ticket: u64,
}

/// An operation that waits for a batch, with the way back to its caller.
pub(crate) struct Waiting<I: Item> {
    /// With followers, [joined](Item::joined) with all of theirs.
    pub(crate) item: I,
    /// With followers, the latest of theirs.
    pub(crate) deadline: Instant,
    pub(crate) reply: oneshot::Sender<I::Outcome>,
    /// Those that leave with it as one, oldest first, with their tickets.
    pub(crate) followers: Vec<(u64, Waiting<I>)>,
    /// Its place in the queue, which is free again when this is dropped.
    pub(crate) _place: OwnedSemaphorePermit,
}
