//! The suite on the store itself, with clones as handles, and behind `Arc<dyn SessionStore>`.

use std::{process::ExitCode, sync::Arc, time::Duration};

use session_conformance::{Suite, Target};
use session_core::SessionStore;
use session_memory::MemoryStore;

fn main() -> ExitCode {
    let memory = Target::clones("memory", MemoryStore::new, |store| async { Ok(Arc::new(store) as _) });
    Suite::new()
        .target(memory.self_purging(|_| async {
            let often = MemoryStore::builder().purge_interval(Duration::from_millis(50));
            Ok(Arc::new(often.build()) as _)
        }))
        .target(Target::in_process("memory-dyn", || -> Arc<dyn SessionStore> {
            Arc::new(MemoryStore::new())
        }))
        .main()
}
