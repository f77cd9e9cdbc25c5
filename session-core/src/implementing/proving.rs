//! How to verify that a store keeps the promises.
//!
//! `session-conformance` tests every promise, with cases that race, drop futures and compare random
//! sequences with a model. Paste this into the `Cargo.toml` of your crate:
//!
//! ```toml
//! [dependencies]
//! session-core = "0.1"
//!
//! [dev-dependencies]
//! session-conformance = "0.1"
//!
//! [[test]]
//! name = "conformance"
//! harness = false
//! ```
//!
//! This is the whole `tests/conformance.rs`. Replace `MyStore` by your store:
//!
//! ```no_run
//! # mod my_store {
//! #     use session_core::{Bytes, Result, SessionKey};
//! #     pub struct MyStore;
//! #     impl MyStore {
//! #         pub async fn connect(_: &str, _: &str) -> Result<session_memory::MemoryStore> {
//! #             Ok(session_memory::MemoryStore::new())
//! #         }
//! #     }
//! #     pub async fn raw_get(_: &str, _: &str, _: &SessionKey) -> Bytes { Bytes::new() }
//! #     pub async fn raw_set(_: &str, _: &str, _: &SessionKey, _: Bytes) {}
//! # }
//! // The suite of session-conformance, on the server that `MY_DB_URL` names.
//!
//! use std::{env, process::ExitCode, sync::Arc};
//!
//! use my_store::MyStore;
//! # use my_store::{raw_get, raw_set};
//! use session_conformance::{Capability, Foreign, Namespace, Suite, Target, Unavailable};
//! use session_core::{Bytes, SessionKey, SessionStore};
//!
//! fn main() -> ExitCode {
//!     let target = Target::new("mine", open)
//!         // Another handle, as another process has it: no state is shared with the first.
//!         .second_handle(|namespace, _first| open(namespace))
//!         // Promise 15. Leave this out until the rest passes.
//!         .foreign_bytes(&[Foreign::WrongType, Foreign::Truncated, Foreign::NewerFormat], plant)
//!         // What the store does not have. Remove what it has.
//!         .without(Capability::Owners, "the engine changes one key in a step")
//!         .without(Capability::Maintenance, "the engine does not list keys")
//!         .without(Capability::Watch, "the engine has no notifications")
//!         // With SESSION_REQUIRE=mine, a missing server is a failure. Set it in your CI.
//!         .required_as("mine");
//!     Suite::new().target(target).main()
//! }
//!
//! fn url() -> Result<String, Unavailable> {
//!     env::var("MY_DB_URL").map_err(|_| Unavailable::because("MY_DB_URL is not set"))
//! }
//!
//! /// An empty store. Each case has a namespace of its own: a key prefix, a table, a collection.
//! async fn open(namespace: Namespace) -> Result<Arc<dyn SessionStore>, Unavailable> {
//!     let opened = MyStore::connect(&url()?, namespace.as_str()).await;
//!     Ok(Arc::new(opened.map_err(Unavailable::because)?))
//! }
//!
//! /// Puts what is no record under a key that has one, past the store.
//! async fn plant(namespace: Namespace, key: SessionKey, foreign: Foreign) {
//!     let url = url().expect("the store was opened");
//!     let record = raw_get(&url, namespace.as_str(), &key).await;
//!     let bytes = match foreign {
//!         Foreign::WrongType => Bytes::from_static(b"something else"),
//!         Foreign::Truncated => record.slice(..record.len() / 2),
//!         // The layout of `StoredRecord`, with the next format.
//!         _ => [b"SR\x02", &record[3..]].concat().into(),
//!     };
//!     raw_set(&url, namespace.as_str(), &key, bytes).await;
//! }
//! ```
//!
//! `raw_get` and `raw_set` are two calls of your engine's client that read and set the raw value
//! under the key.
//!
//! ```sh
//! cargo test --test conformance                      # all cases
//! cargo test --test conformance -- p04_expiry        # one promise
//! MY_DB_URL=... SESSION_REQUIRE=mine cargo test      # a missing server fails
//! SESSION_SOAK=20 cargo test --release --test conformance
//! ```
//!
//! A run ends with a list of what was *not proven*, and of the hooks that would prove it. A store
//! in memory needs no hooks: `Target::in_process("mine", MyStore::new)`. A store with a server
//! should also get `Target::faults`, by which the suite freezes and kills the server and loses its
//! replies (promises 12 and 13). Without these cases, the behaviour of the store in an outage is
//! untested. `Target` in `session-conformance` describes every hook.
