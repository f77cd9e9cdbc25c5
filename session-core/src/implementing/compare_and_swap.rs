//! A store in an engine with compare-and-swap.
//!
//! Such an engine keeps a value and a token per key. Every change replaces the token. The engine
//! creates a value if the key has none, and swaps or removes a value whose token the caller names.
//! All that a session needs is stored in the one value, as a
//! [`StoredRecord`](crate::StoredRecord).
//!
//! | | Memcached | DynamoDB | etcd |
//! | --- | --- | --- | --- |
//! | read | `mg k v c` | `GetItem`, consistent | `Range`, linearizable |
//! | create | `ms k S ME` | `PutItem`, `attribute_not_exists` | `Txn`, `create_revision` is 0 |
//! | swap | `ms k S C<cas>` | `PutItem`, the token is equal | `Txn`, `mod_revision` is equal |
//! | remove | `md k C<cas>` | `DeleteItem`, likewise | `Txn`, likewise |
//!
//! The token must change with *every* change, including a touch. Memcached and etcd have such a
//! token. In DynamoDB, write a random attribute. The record's version is unsuitable, because a
//! touch keeps it. Read from the primary only: at best, a stale read costs a lost swap; at worst,
//! it shows an ended session.
//!
//! # Read, decide, swap, again
//!
//! Each change reads the value and its token, decides by what it has read, and swaps under *that*
//! token. If the engine refuses the swap, the value has changed since: read and decide again. Each
//! refusal means that another change succeeded, so the loop makes progress. Apply the deadline of
//! the operation to the whole loop.
//!
//! # After an ambiguous failure
//!
//! If a swap or a creation gets no reply, it was applied, was not applied, or will be applied
//! later.
//!
//! * Never resend a write with [`Absent`](crate::When::Absent) or [`Any`](crate::When::Any), and do
//!   not re-enter the loop with it. If the first attempt arrives and a logout then removes the
//!   session, a second attempt finds the key free and brings the session back.
//! * Read the record back. If its version is that of the write, the write is
//!   [`Written`](crate::WriteOutcome::Written).
//! * Otherwise return [`may_have_applied`](crate::Error::may_have_applied). A conflict would claim
//!   that nothing was changed, which is not known: the write may have been applied and replaced, or
//!   may still arrive.
//! * A write with [`Version`](crate::When::Version) may re-enter the loop as long as the expected
//!   version is live, because nothing brings that version back once it is gone. The store below
//!   does not do so.
//! * The same holds for a touch and a delete. A removal under the same token may be sent again.
//!
//! # Expiry between the check and the change
//!
//! A caller reads a record shortly before it expires, and its swap is slow. Meanwhile another
//! caller finds the record expired and is told that the session is absent. Then the swap arrives.
//! Its token is still current, so the engine accepts it, and the session that was reported absent
//! is back.
//!
//! Therefore **invalidate the token before you report a record as absent**: remove the expired
//! value under its token (`look` below). If that fails because the value has changed, look again.
//! If the reply is lost, return [`Unavailable`](crate::ErrorKind::Unavailable). A record that was
//! reported absent is then absent for every pending swap. This costs a round trip for each record
//! that is found between its expiry and the moment at which the engine frees it. An engine that
//! frees expired values by itself thereby invalidates their tokens.
//!
//! # The clock
//!
//! These engines do not judge expiry to the millisecond, so the clocks of the nodes decide. State
//! in your documentation that nodes need synchronized clocks: a node whose clock is ahead ends
//! sessions earlier for all nodes, by the same amount.
//!
//! # No owner index
//!
//! Memcached changes one key per step, and a separate index would miss sessions (promise 8). A
//! secondary index of DynamoDB is updated late and does not keep the promise either. Return `None`
//! from `owners()`. A transaction over record and index (etcd, DynamoDB's `TransactWriteItems`) can
//! keep the promise.
//!
//! # The store
//!
//! `Engine` stands for the client of your engine. It is in memory and can lose requests and replies
//! for the tests. It is otherwise unimportant here.
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
