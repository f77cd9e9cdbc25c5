//! A store in an engine with compare-and-swap.
//!
//! Such an engine keeps a value under a key, and a token with it that every change replaces. It
//! creates a value where there is none, and swaps or removes the one whose token is known. All that
//! a session needs goes into the one value, as a [`StoredRecord`](crate::StoredRecord).
//!
//! | | Memcached | DynamoDB | etcd |
//! | --- | --- | --- | --- |
//! | read | `mg k v c` | `GetItem`, consistent | `Range`, linearizable |
//! | create | `ms k S ME` | `PutItem`, `attribute_not_exists` | `Txn`, `create_revision` is 0 |
//! | swap | `ms k S C<cas>` | `PutItem`, the token is equal | `Txn`, `mod_revision` is equal |
//! | remove | `md k C<cas>` | `DeleteItem`, likewise | `Txn`, likewise |
//!
//! The token must change with *every* change, a touch included. Memcached and etcd have such a
//! token. In DynamoDB, write a random attribute. The record's version does not do: a touch keeps
//! it. Read from the primary only. A stale read costs a lost swap at best, and shows an ended
//! session at worst.
//!
//! # Read, decide, swap, again
//!
//! Each change reads the value and its token, decides by what it has read, and swaps under *that*
//! token. If the swap is refused, the value has changed since: read and decide again. Each refusal
//! means that another change succeeded, so the loop makes progress. Put the whole loop under the
//! deadline of the operation.
//!
//! # After an ambiguous failure
//!
//! No reply to a swap or a creation: it was carried out, or it was not, or it still will be.
//!
//! * Never send a write with [`Absent`](crate::When::Absent) or [`Any`](crate::When::Any) again,
//!   nor enter the loop again with it. If the first attempt arrives, a logout removes the session,
//!   and a second attempt then finds the key free: the session is back.
//! * Read the record back. If its version is that of the write, the write is
//!   [`Written`](crate::WriteOutcome::Written).
//! * Otherwise answer [`may_have_applied`](crate::Error::may_have_applied). A conflict would say
//!   that nothing was changed, and that is not known: the write may have been applied and replaced,
//!   or be on the way.
//! * A write with [`Version`](crate::When::Version) may enter the loop again, as long as the
//!   expected version is live: nothing brings it back once it is gone. The store below does
//!   without.
//! * A touch and a delete answer likewise. A removal under the same token may be sent again.
//!
//! # Expiry between the check and the change
//!
//! A caller reads a record shortly before it expires, and its swap is slow. Meanwhile another
//! caller finds the record expired, and is told that the session is absent. Then the swap arrives.
//! The token is the one that was read, so the engine accepts it, and the session that was called
//! absent is back.
//!
//! Therefore **burn the token before you call a record absent**: remove the expired value under its
//! token (`look` below). If that fails because the value has changed, look again. If the reply is
//! lost, answer [`Unavailable`](crate::ErrorKind::Unavailable). What was called absent is then
//! absent for every pending swap. This costs a round trip for each record that is met between its
//! expiry and the moment in which the engine frees it. An engine that frees expired values itself
//! burns their tokens with that.
//!
//! # The clock
//!
//! These engines judge no expiry to the millisecond, so the clocks of the nodes decide. Say in your
//! documentation that nodes need synchronized clocks: a node whose clock is ahead ends sessions
//! earlier for all by as much.
//!
//! # No owner index
//!
//! Memcached changes one key in a step, and an index beside it would miss sessions (promise 8). A
//! secondary index of DynamoDB follows late, and does not keep the promise either. Return `None`
//! from `owners()`. A transaction over record and index (etcd, DynamoDB's `TransactWriteItems`) can
//! keep it.
//!
//! # The store
//!
//! `Engine` stands for the client of your engine. It is in memory, can lose requests and replies for
//! the tests, and needs none of your attention otherwise.
//!
//! ```
#![doc = include_str!("../../doc/swap_store.rs")]
//! mod engine {
#![doc = include_str!("../../doc/swap_engine.rs")]
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! #     let key = session_core::SessionId::generate().key();
//! #     let store = SwapStore::new(Arc::new(Engine::default()));
//! #     let write = Write::new("data", Ttl::new(Duration::from_secs(60))?);
//! #     assert!(store.write(&key, write, When::Absent).await?.is_written());
//! #     assert_eq!(store.read(&key).await?.expect("it is live").data, "data");
//! #     Ok(())
//! # }
//! ```
