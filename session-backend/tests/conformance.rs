//! The conformance suite on a batched store: over a store that answers at once, and over a remote
//! one, where operations queue.

use std::{process::ExitCode, sync::Arc};

use session_backend::{BatchSettings, Batched};
use session_conformance::{Link, Suite, Target, Unavailable};
use session_core::SessionStore;
use session_memory::MemoryStore;

fn main() -> ExitCode {
    let defaults = BatchSettings::default();
    let tight = defaults.batch_items(3).batch_bytes(2_000).max_in_flight(1).queue_capacity(5);
    let at_once = |name, settings: BatchSettings| {
        Target::new(name, move |_| async move {
            let batched: Arc<dyn SessionStore> =
                Arc::new(Batched::new(MemoryStore::new(), settings).map_err(Unavailable::because)?);
            Ok(batched)
        })
        .second_handle(|_, first| async move { Ok(first) })
    };
    let linked = |name, settings: BatchSettings| {
        Link::target(name, MemoryStore::new, move |link: Link| async move {
            let settings = settings.deadline(link.deadline());
            Ok(Arc::new(Batched::new(link, settings).map_err(Unavailable::because)?) as _)
        })
    };
    Suite::new()
        .target(at_once("batched", defaults))
        .target(at_once("batched-tightly", tight))
        .target(linked("linked-batched", defaults))
        .target(linked("linked-batched-tightly", tight))
        .main()
}
