//! The conformance suite on `Cached`: alone, as two nodes that receive each other's events, and
//! over remote stores.

use std::{process::ExitCode, sync::Arc, time::Duration};

use session_conformance::{Capability, Link, Suite, Target, Unavailable};
use session_core::SessionStore;
use session_layers::{CacheExt, CacheSettings};
use session_memory::MemoryStore;

/// Short, so that the tests wait only briefly for it.
const STALENESS: Duration = Duration::from_millis(250);

fn settings() -> CacheSettings {
    CacheSettings::default().max_staleness(STALENESS)
}

async fn cached(store: impl SessionStore + 'static) -> Result<Arc<dyn SessionStore>, Unavailable> {
    cached_by(settings(), store).await
}

async fn cached_by(
    settings: CacheSettings,
    store: impl SessionStore + 'static,
) -> Result<Arc<dyn SessionStore>, Unavailable> {
    let cached = store.cached(settings).map_err(Unavailable::because)?;
    cached.wait_until_ready().await;
    Ok(Arc::new(cached))
}

fn main() -> ExitCode {
    // A small capacity, so that entries are evicted often.
    let small =
        Target::new("cached-memory-small", |_| cached_by(settings().max_entries(2), MemoryStore::new()))
            .second_handle(|_, first| async move { Ok(first) });
    // Each handle has a cache of its own.
    let two = Target::clones("cached-memory-two-nodes", MemoryStore::new, cached).staleness(STALENESS);
    // Over a remote store, which can fail.
    let linked = Link::target("linked-cached", MemoryStore::new, cached).staleness(STALENESS);
    // Without a watch, so that only the declared staleness bounds what the caches of other nodes
    // show.
    let unwatched = Link::target("linked-cached-unwatched", MemoryStore::new, |link| async move {
        let unwatched = link.without_watch().cached(settings().accept_staleness_without_watch());
        Ok(Arc::new(unwatched.map_err(Unavailable::because)?) as _)
    })
    .without(Capability::Watch, "what this target is for")
    .staleness(STALENESS);
    Suite::new().target(small).target(two).target(linked).target(unwatched).main()
}
