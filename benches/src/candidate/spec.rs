use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;

use super::{Candidate, Description, Place, Result};
use crate::probe::Probe;

/// A candidate on its way.
pub type Opening = BoxFuture<'static, Result<Arc<dyn Candidate>>>;

/// One application process on its way.
pub type OpeningProbe = BoxFuture<'static, Result<Arc<dyn Probe>>>;

/// How to open a candidate.
#[derive(Clone)]
pub struct Spec {
    /// What it is.
    pub description: Description,
    /// Opens it, empty, in this place, with room for so many numbered sessions.
    pub open: fn(Place, usize) -> Opening,
    /// Opens what an application meets, as one process of several that share this place; `None` for what is no session library. Called once in
    /// each process, but for the memory of a process, where there is only one.
    pub probe: Option<fn(Place) -> OpeningProbe>,
}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spec").field("description", &self.description).finish_non_exhaustive()
    }
}
