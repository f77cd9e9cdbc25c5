//! The suite, on stores at the end of a link: what it finds in a layer over them is the layer's.

use std::{process::ExitCode, sync::Arc};

use session_conformance::{Link, Suite};
use session_memory::MemoryStore;

fn main() -> ExitCode {
    let bare = |link| async move { Ok(Arc::new(link) as _) };
    Suite::new().target(Link::target("linked", MemoryStore::new, bare)).main()
}
