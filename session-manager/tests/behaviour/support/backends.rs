use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use session_core::SessionStore;
use session_memory::MemoryStore;
use session_sql::SqliteStore;
use tempfile::TempDir;

use super::required_only::RequiredOnly;

pub(crate) type Opened = Result<Arc<dyn SessionStore>, String>;

/// A store to run the cases on, or why it is not there.
#[derive(Clone, Copy)]
pub(crate) struct Backend {
    /// Also the word in `SESSION_REQUIRE` that makes its absence a failure.
    pub(crate) name: &'static str,
    pub(crate) open: fn() -> Pin<Box<dyn Future<Output = Opened> + Send>>,
}

/// All stores of the workspace. One with a server joins with a line: it opens itself in a namespace of its own, or says what is missing.
pub(crate) fn backends() -> Vec<Backend> {
    vec![
        Backend { name: "memory", open: || Box::pin(async { Ok(Arc::new(MemoryStore::new()) as _) }) },
        Backend {
            name: "required-only",
            open: || Box::pin(async { Ok(Arc::new(RequiredOnly::new()) as _) }),
        },
        Backend { name: "sqlite", open: || Box::pin(sqlite()) },
    ]
}

static DIRECTORY: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a directory"));

async fn sqlite() -> Opened {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let file = format!("{}.db", NEXT.fetch_add(1, Ordering::Relaxed));
    let store = SqliteStore::builder().open(DIRECTORY.path().join(file)).await;
    store.map(|store| Arc::new(store) as _).map_err(|error| error.to_string())
}
