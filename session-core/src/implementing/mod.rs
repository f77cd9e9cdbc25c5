//! How to write a store.
//!
//! Four methods are enough: `read`, `write`, `touch` and `delete`. All others are provided in terms
//! of these. Everything here is compiled, and both stores pass the conformance suite in this
//! crate's own tests.
//!
//! | chapter | for |
//! | --- | --- |
//! | [`lock`] | engines that check and change in one step; a whole store |
//! | [`compare_and_swap`] | Memcached, DynamoDB, etcd and their like; a whole store |
//! | [`seconds`] | engines that count the time in seconds |
//! | [`proving`] | the test file to copy, and what to paste into `Cargo.toml` |
//!
//! # What to look out for
//!
//! * **One step.** Check the condition and make the change in one atomic step of the engine. A read
//!   followed by a write loses updates, whatever is between them.
//! * **The engine's clock, and late.** Compute expiry where the data is, after any lock was taken.
//!   Clocks of clients differ.
//! * **Expired is absent**, in each operation, also while the space is not freed yet. Purging must
//!   check the expiry again in the same step as it deletes: the record may have been re-created
//!   since it was found.
//! * **Ambiguity.** If a reply can get lost, say
//!   [`may_have_applied`](crate::Error::may_have_applied), or read the record back and compare its
//!   version with the write's. Never re-send a write with [`When::Absent`](crate::When::Absent) or
//!   [`When::Any`](crate::When::Any) when the first attempt may still be under way: it could undo a
//!   logout.
//! * **Deadlines.** Give every request to the engine a time limit. A server that does not answer
//!   must become [`Unavailable`](crate::ErrorKind::Unavailable), not a wait.
//! * **Dropped futures.** Callers time out. Whatever your engine does when a request is dropped
//!   halfway, the record must be whole and the connection usable.
//! * **Foreign bytes.** Mark your records and their format, and check both.
//!   [`StoredRecord`](crate::StoredRecord) does so for engines that keep bytes.
//! * **`Debug` is for logs.** Never derive it where data, owners or a password are inside: a store
//!   that gets into a log would take them all with it.
//! * **The index is the data.** An owner index that is updated in a second step misses sessions
//!   when the client dies in between. Change both in one step, or make the index derivable from the
//!   records, or have none: `owners()` is then `None`, and applications can tell.
//!
//! # Batches
//!
//! The provided batches make one call for each item, up to 16 at once. If the engine takes many
//! items in one round trip, override them, and wrap the store in `Batched` of `session-batch`: then
//! concurrent single calls share round trips, too.
//!
//! # Layers
//!
//! A store that wraps another one (a cache, metrics, encryption) must pass on *every* method, or
//! the provided ones silently replace the inner store's better ones. Put
//! `#[deny(clippy::missing_trait_methods)]` on the `impl`; the one for `Arc<S>` in this crate is an
//! example.

pub mod compare_and_swap;
pub mod lock;
pub mod proving;
pub mod seconds;
