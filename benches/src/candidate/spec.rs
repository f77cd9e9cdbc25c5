use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;

use super::{Candidate, Description, Place, Result};
use crate::probe::Probe;

/// A candidate that is being opened.
pub type Opening = BoxFuture<'static, Result<Arc<dyn Candidate>>>;

/// An application process that is being opened.
pub type OpeningProbe = BoxFuture<'static, Result<Arc<dyn Probe>>>;

/// How to open a candidate.
#[derive(Clone)]
pub struct Spec {
    /// The description.
    pub description: Description,
    /// Opens the candidate, empty, in this place, with room for this many numbered sessions.
    pub open: fn(Place, usize) -> Opening,
    /// Opens the application's view of the library, as one of several processes that share this
    /// place. `None` for a candidate that is not a session library. Called once in each process.
    /// For the memory of a process, there is only one.
    pub probe: Option<fn(Place) -> OpeningProbe>,
}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spec").field("description", &self.description).finish_non_exhaustive()
    }
}
