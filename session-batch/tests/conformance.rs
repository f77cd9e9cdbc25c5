//! The suite, on a batched store.

use std::{process::ExitCode, sync::Arc};

use session_batch::{BatchSettings, Batched};
use session_conformance::{Suite, Target, Unavailable};
use session_core::SessionStore;
use session_memory::MemoryStore;

fn target(name: &str, settings: BatchSettings) -> Target {
    Target::new(name, move |_| async move {
        let store: Arc<dyn SessionStore> =
            Arc::new(Batched::new(MemoryStore::new(), settings).map_err(Unavailable::because)?);
        Ok(store)
    })
    .second_handle(|_, first| async move { Ok(first) })
}

fn main() -> ExitCode {
    let defaults = BatchSettings::default();
    Suite::new()
        .target(target("batched", defaults))
        .target(target("batched-tightly", defaults.batch_items(3).batch_bytes(2_000).in_flight(1).queue(5)))
        .main()
}
