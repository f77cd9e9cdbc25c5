//! Engines that count the time in seconds.
//!
//! A ttl is exact to the millisecond (promise 4). An engine that expires values by the second, or
//! whenever it gets to it, cannot judge that. It can free the space. So there are two expiries:
//!
//! * The **exact** one, in milliseconds, is in the record, and each operation judges by it.
//!   [`StoredRecord`](crate::StoredRecord) has it.
//! * The **engine's** is the same, rounded up, and never earlier. It must not end a session too
//!   early.
//!
//! Rounding up to whole seconds is not enough. An engine whose clock ticks in seconds is up to a
//! second into the current one, so that "1 second" can mean 1 millisecond. Add one more.
//!
//! Between the exact expiry and the engine's, the engine still has a value that no caller may see.
//! What that asks for in an engine with compare-and-swap is in
//! [`compare_and_swap`](super::compare_and_swap#expiry-between-the-check-and-the-change).
//!
//! # Memcached
//!
//! * An expiry of more than 30 days is taken for a time since 1970. A ttl of 31 days, sent as it
//!   is, means February 1970, and the session is gone at once. Send the time since 1970 for all
//!   that is longer.
//! * The number is read as 32 bits with a sign, which end in January 2038. Send 0, which means
//!   never, for what is later. The record still has its exact expiry; only its space is freed by
//!   eviction alone.
//! * A value can be evicted at any time, and all are gone after a restart. Say so in the
//!   documentation of the store, as what the engine can take back.
//!
//! ```
//! use session_core::Ttl;
//!
//! /// What to send as the expiry of a record, at `now` in seconds since 1970.
//! fn exptime(ttl: Ttl, now: u64) -> u32 {
//!     const LONGEST_RELATIVE: u64 = 30 * 24 * 60 * 60;
//!     let seconds = ttl.as_millis().div_ceil(1_000) + 1;
//!     if seconds <= LONGEST_RELATIVE {
//!         return u32::try_from(seconds).unwrap_or(0);
//!     }
//!     i32::try_from(now + seconds).map_or(0, i32::unsigned_abs)
//! }
//!
//! # use std::time::Duration;
//! let now = 1_700_000_000;
//! assert_eq!(exptime(Ttl::new(Duration::from_millis(1))?, now), 2);
//! assert_eq!(exptime(Ttl::new(Duration::from_millis(1_500))?, now), 3);
//! let days = |days: u64| Ttl::new(Duration::from_secs(days * 24 * 60 * 60));
//! assert_eq!(exptime(days(29)?, now), 29 * 86_400 + 1);
//! // 30 days and the second more are over the limit.
//! assert_eq!(exptime(days(30)?, now), 1_700_000_000 + 30 * 86_400 + 1);
//! assert_eq!(exptime(Ttl::MAX, now), 0);
//! # Ok::<(), session_core::Error>(())
//! ```
//!
//! # DynamoDB and etcd
//!
//! DynamoDB removes an item some time after the second in its ttl attribute, at times days later:
//! only the record's own expiry tells. etcd frees a key with its lease, which has whole seconds and
//! a least length that the server sets. Both round as above.
