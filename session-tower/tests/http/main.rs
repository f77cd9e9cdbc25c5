//! What a client sees, on every store of the workspace. Written once: a store is a line in [`stores`].

mod app;
mod bad_cookies;
mod caching;
mod client;
mod cookies;
mod ending;
mod outages;
mod saving;
mod store;
mod tower_sessions;

use std::{process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Trial};
use session_core::SessionStore;
use session_memory::MemoryStore;
use session_sql::SqliteStore;
use tempfile::TempDir;
use tokio::runtime::Builder;

use crate::store::Tap;

/// A case: what it is called, and what it does with a store of its own.
type Case = (&'static str, fn(Arc<Tap>) -> std::pin::Pin<Box<dyn Future<Output = ()>>>);

/// Names the cases of a file by their functions.
macro_rules! cases {
    ($file:literal: $($name:ident),+ $(,)?) => {
        pub(crate) fn cases() -> Vec<$crate::Case> {
            vec![$((concat!($file, "::", stringify!($name)), |tap| Box::pin($name(tap)))),+]
        }
    };
}
pub(crate) use cases;

/// An empty store of each kind, with what it needs to live.
async fn stores(kind: &str) -> (Arc<dyn SessionStore>, Option<TempDir>) {
    match kind {
        "memory" => (Arc::new(MemoryStore::new()), None),
        "sqlite" => {
            let directory = tempfile::tempdir().expect("a directory");
            let store = SqliteStore::builder().open(directory.path().join("app.db")).await.expect("a store");
            (Arc::new(store), Some(directory))
        }
        other => panic!("there is no store {other}"),
    }
}

fn main() -> ExitCode {
    let cases = || {
        let mut all = Vec::new();
        all.extend(bad_cookies::cases());
        all.extend(caching::cases());
        all.extend(cookies::cases());
        all.extend(ending::cases());
        all.extend(outages::cases());
        all.extend(saving::cases());
        all.extend(tower_sessions::cases());
        all
    };
    let trial = |kind: &'static str, (name, case): Case| {
        Trial::test(format!("{kind}::{name}"), move || {
            let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            runtime.block_on(async {
                let (store, _directory) = stores(kind).await;
                case(Arc::new(Tap::new(store))).await;
            });
            Ok(())
        })
    };
    let trials = ["memory", "sqlite"]
        .into_iter()
        .flat_map(|kind| cases().into_iter().map(move |case| trial(kind, case)));
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}
