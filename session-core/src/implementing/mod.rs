//! How to write a store.
//!
//! Four methods are enough: `read`, `write`, `touch` and `delete`. All others have provided
//! implementations in terms of these. All code here is compiled, and both stores pass the
//! conformance suite in this crate's own tests.
//!
//! | chapter | for |
//! | --- | --- |
//! | [`lock`] | engines that check and change in one step; a whole store |
//! | [`compare_and_swap`] | Memcached, DynamoDB, etcd and their like; a whole store |
//! | [`seconds`] | engines that count the time in seconds |
//! | [`proving`] | the test file to copy, and what to paste into `Cargo.toml` |
//!
//! # Rules
//!
//! * **One step.** Check the condition and make the change in one atomic step of the engine. A read
//!   followed by a write loses updates, whatever happens between them.
//! * **The engine's clock, read late.** Compute expiry where the data is, after any lock was taken.
//!   The clocks of clients differ.
//! * **Expired is absent**, in each operation, even if the space is not freed yet. A purge must
//!   check the expiry again in the same step as the deletion, because the record may have been
//!   re-created since the purge found it.
//! * **Ambiguity.** If a reply can get lost, return
//!   [`may_have_applied`](crate::Error::may_have_applied), or read the record back and compare its
//!   version with that of the write. Never resend a write with
//!   [`When::Absent`](crate::When::Absent) or [`When::Any`](crate::When::Any) while the first
//!   attempt may still be in flight: it could undo a logout.
//! * **Deadlines.** Give every request to the engine a time limit. If the server does not answer,
//!   return [`Unavailable`](crate::ErrorKind::Unavailable) instead of waiting.
//! * **Dropped futures.** Callers time out. Whatever your engine does when a request is dropped
//!   halfway, the record must be whole and the connection usable.
//! * **Foreign bytes.** Mark your records and their format, and check both.
//!   [`StoredRecord`](crate::StoredRecord) does so for engines that keep bytes.
//! * **`Debug` is for logs.** Never derive it for a type that holds data, owners or a password:
//!   logging the store would log them all.
//! * **Index and data change together.** An owner index that is updated in a second step misses
//!   sessions when the client dies between the steps. Change both in one step, make the index
//!   derivable from the records, or have no index: `owners()` is then `None`, which applications
//!   can detect.
//!
//! # Batches
//!
//! The provided batches make one call per item, up to 16 at once. If the engine takes many items in
//! one round trip, override the batch methods, and wrap the store in `Batched` of `session-backend`.
//! Concurrent single calls then share round trips, too.
//!
//! # Layers
//!
//! A store that wraps another one (a cache, metrics, encryption) must forward *every* method.
//! Otherwise the provided methods silently replace the better ones of the inner store. Put
//! `#[deny(clippy::missing_trait_methods)]` on the `impl`. The one for `Arc<S>` in this crate is an
//! example.

pub mod compare_and_swap;
pub mod lock;
pub mod proving;
pub mod seconds;
