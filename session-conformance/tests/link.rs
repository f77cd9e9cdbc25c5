//! Runs the suite on stores behind a link. A failure in a layer over a link is thus the layer's
//! own.

use std::{process::ExitCode, sync::Arc};

use session_conformance::{Link, Suite};
use session_memory::MemoryStore;

fn main() -> ExitCode {
    let bare = |link| async move { Ok(Arc::new(link) as _) };
    Suite::new().target(Link::target("linked", MemoryStore::new, bare)).main()
}
