mod candidate;
mod context;
mod required_only;
mod tap;

pub(crate) use candidate::{Candidate, candidates};
pub(crate) use context::{Context, LIMIT, eventually, owner, rounds};
pub(crate) use tap::NextWrite;
