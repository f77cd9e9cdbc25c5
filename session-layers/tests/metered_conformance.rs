//! The conformance suite on `Metered`: over a store, and over a cached store.

use std::{process::ExitCode, sync::Arc};

use session_conformance::{Suite, Target, Unavailable};
use session_core::SessionStore;
use session_layers::{CacheExt as _, CacheSettings, Metered};
use session_memory::MemoryStore;

async fn metered_cache() -> Result<Arc<dyn SessionStore>, Unavailable> {
    let cached = MemoryStore::new().cached(CacheSettings::default()).map_err(Unavailable::because)?;
    cached.wait_until_ready().await;
    Ok(Arc::new(Metered::new(cached)))
}

fn main() -> ExitCode {
    Suite::new()
        .target(Target::in_process("metered-memory", || Metered::new(MemoryStore::new())))
        .target(
            Target::new("metered-cached-memory", |_| metered_cache())
                .second_handle(|_, first| async move { Ok(first) }),
        )
        .main()
}
