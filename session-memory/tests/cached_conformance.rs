//! The suite over `Cached`: alone, and as two nodes that hear of each other.

use std::{collections::HashMap, process::ExitCode, sync::Arc, time::Duration};

use parking_lot::Mutex;
use session_conformance::{Namespace, Suite, Target, Unavailable};
use session_core::SessionStore;
use session_memory::{CacheExt, CacheSettings, MemoryStore};

/// Short, so that waiting for it takes no time.
const STALENESS: Duration = Duration::from_millis(250);

async fn open(store: MemoryStore) -> Result<Arc<dyn SessionStore>, Unavailable> {
    let cached =
        store.cached(CacheSettings::default().max_staleness(STALENESS)).map_err(Unavailable::because)?;
    cached.until_whole().await;
    Ok(Arc::new(cached))
}

/// The stores of the cases that are under way.
static STORES: Mutex<Option<HashMap<String, MemoryStore>>> = Mutex::new(None);

fn store_of(namespace: &Namespace) -> MemoryStore {
    STORES.lock().get_or_insert_default().entry(namespace.to_string()).or_default().clone()
}

fn main() -> ExitCode {
    let one = Target::new("cached-memory", |_| open(MemoryStore::new()))
        .second_handle(|_, first| async move { Ok(first) });
    // Each handle has a cache of its own.
    let two = Target::new("cached-memory-two-nodes", |namespace| open(store_of(&namespace)))
        .second_handle(|namespace, _first| open(store_of(&namespace)))
        .clean_up(|namespace| async move {
            drop(STORES.lock().as_mut().map(|stores| stores.remove(namespace.as_str())));
        })
        .staleness(STALENESS);
    Suite::new().target(one).target(two).main()
}
