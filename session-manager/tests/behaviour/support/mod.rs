mod backends;
mod context;
mod required_only;
mod tap;

pub(crate) use backends::{Backend, backends};
pub(crate) use context::{Context, LIMIT, eventually, owner, rounds};
pub(crate) use tap::NextWrite;
