//! Runs the suite on the stores of the documentation.

#[path = "../doc/swap_engine.rs"]
#[allow(missing_docs, unreachable_pub, dead_code, reason = "it is public in the documentation")]
mod engine;
#[path = "../doc/swap_store.rs"]
#[allow(missing_docs, unreachable_pub, reason = "it is public in the documentation")]
mod swap_store;
#[path = "../doc/worked_store.rs"]
#[allow(missing_docs, unreachable_pub, reason = "it is public in the documentation")]
mod worked_store;

use std::{
    collections::HashMap,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use engine::Engine;
use session_conformance::{Capability, Foreign, Namespace, Suite, Target};
use session_core::{Bytes, SessionKey, SessionStore};
use swap_store::SwapStore;
use worked_store::WorkedStore;

fn main() -> ExitCode {
    let worked = Target::in_process("worked", || Arc::new(WorkedStore::default()))
        .without(Capability::Watch, "it is an exercise")
        .without(Capability::Maintenance, "it is an exercise");
    Suite::new().target(worked).target(swapping()).main()
}

/// Creates an engine per namespace and a store per handle.
fn swapping() -> Target {
    let engines = Arc::new(Mutex::new(HashMap::<String, Arc<Engine>>::new()));
    let engine = move |namespace: &Namespace| {
        let mut engines = engines.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(engines.entry(namespace.to_string()).or_default())
    };
    let open = {
        let engine = engine.clone();
        move |namespace: &Namespace| -> Arc<dyn SessionStore> { Arc::new(SwapStore::new(engine(namespace))) }
    };
    let again = open.clone();
    Target::new("swapping", move |namespace| std::future::ready(Ok(open(&namespace))))
        .second_handle(move |namespace, _first| std::future::ready(Ok(again(&namespace))))
        .foreign_bytes(
            &[Foreign::WrongType, Foreign::Truncated, Foreign::NewerFormat],
            move |namespace, key, foreign| {
                let engine = engine(&namespace);
                async move { plant(&engine, &key, foreign).await }
            },
        )
        .without(Capability::Owners, "such engines change one key in a step")
        .without(Capability::Watch, "it is an exercise")
        .without(Capability::Maintenance, "it is an exercise")
}

/// Replaces the record under `key` by foreign bytes.
async fn plant(engine: &Engine, key: &SessionKey, foreign: Foreign) {
    let (bytes, token) = engine.get(key).await.expect("a reply").expect("a record was created before");
    let bytes = match foreign {
        Foreign::WrongType => Bytes::from_static(b"{}"),
        Foreign::Truncated => bytes.slice(..bytes.len() / 2),
        _ => [b"SR\x02", &bytes[3..]].concat().into(),
    };
    assert!(engine.swap(key, token, bytes, 3_600).await.expect("a reply"), "nothing else changes it");
}
