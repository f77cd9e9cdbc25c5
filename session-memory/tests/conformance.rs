//! The suite, on the store itself and behind `Arc<dyn SessionStore>`.

use std::{process::ExitCode, sync::Arc};

use session_conformance::{Suite, Target};
use session_core::SessionStore;
use session_memory::MemoryStore;

fn main() -> ExitCode {
    Suite::new()
        .target(Target::in_process("memory", MemoryStore::new))
        .target(Target::in_process("memory-dyn", || -> Arc<dyn SessionStore> {
            Arc::new(MemoryStore::new())
        }))
        .main()
}
