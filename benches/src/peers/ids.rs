use parking_lot::Mutex;

use crate::candidate::Result;

/// The ids of the sessions by their numbers.
#[derive(Debug)]
pub(super) struct Ids<I>(Box<[Mutex<Option<I>>]>);

impl<I: Clone> Ids<I> {
    /// Room for so many.
    pub(super) fn new(sessions: usize) -> Self {
        Self((0..sessions).map(|_| Mutex::new(None)).collect())
    }

    /// Whom the number means; an error if that was never created.
    pub(super) fn get(&self, session: usize) -> Result<I> {
        let id = self.0[session].lock().clone();
        id.ok_or_else(|| format!("session {session} was never created").into())
    }

    /// The number means this session from now on.
    pub(super) fn set(&self, session: usize, id: I) {
        *self.0[session].lock() = Some(id);
    }
}
