use parking_lot::Mutex;

use crate::candidate::Result;

/// The ids of the sessions by number.
#[derive(Debug)]
pub(super) struct Ids<I>(Box<[Mutex<Option<I>>]>);

impl<I: Clone> Ids<I> {
    /// Creates room for this many sessions.
    pub(super) fn new(sessions: usize) -> Self {
        Self((0..sessions).map(|_| Mutex::new(None)).collect())
    }

    /// The id of this number, or an error if it was never created.
    pub(super) fn get(&self, session: usize) -> Result<I> {
        let id = self.0[session].lock().clone();
        id.ok_or_else(|| format!("session {session} was never created").into())
    }

    /// Assigns this id to the number.
    pub(super) fn set(&self, session: usize, id: I) {
        *self.0[session].lock() = Some(id);
    }
}
