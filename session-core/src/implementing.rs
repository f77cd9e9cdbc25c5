//! How to write a store.
//!
//! Four methods are enough. This is a whole store, in memory and behind one lock; it is compiled with this page and passes the
//! conformance suite, which this crate's own tests run on it (`tests/conformance.rs`).
//!
//! ```
#![doc = include_str!("../doc/worked_store.rs")]
//! # use session_core::SessionId;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! #     let (store, key) = (WorkedStore::default(), SessionId::generate().key());
//! #     let write = Write::new("data", Ttl::new(std::time::Duration::from_secs(60))?);
//! #     assert!(store.write(&key, write, When::Absent).await?.is_written());
//! #     assert_eq!(store.read(&key).await?.expect("it is live").data, "data");
//! #     Ok(())
//! # }
//! ```
//!
//! # What to look out for
//!
//! * **One step.** Check the condition and make the change in one atomic step of the engine: a lock, a script, a statement with a
//!   condition in it. A read followed by a write loses updates, whatever is between them.
//! * **The engine's clock, and late.** Compute expiry where the data is, after any lock was taken. Clocks of clients differ.
//! * **Expired is absent**, in each operation, also while the space is not freed yet. Purging must check the expiry again in
//!   the same step as it deletes: the record may have been re-created since it was found.
//! * **Ambiguity.** If a reply can get lost, say [`may_have_applied`](crate::Error::may_have_applied), or read the record
//!   back and compare its version with the write's. Never re-send a write with [`When::Absent`](crate::When::Absent) or
//!   [`When::Any`](crate::When::Any) when the first attempt may still be under way: it could undo a logout.
//! * **Dropped futures.** Callers time out. Whatever your engine does when a request is dropped halfway, the record must be
//!   whole and the connection usable.
//! * **`Debug` is for logs.** Never derive it where data, owners or a password are inside: a store that gets into a log would take them all with it.
//! * **The index is the data.** An owner index that is updated in a second step misses sessions when the client dies in
//!   between. Change both in one step, or make the index derivable from the records.
//!
//! # Layers
//!
//! A store that wraps another one (a cache, metrics, encryption) must pass on *every* method, or the provided ones silently replace the inner
//! store's better ones. Put `#[deny(clippy::missing_trait_methods)]` on the `impl`; the one for `Arc<S>` in this crate is an example.
