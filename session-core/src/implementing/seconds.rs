//! Engines that count the time in seconds.
//!
//! A ttl is exact to the millisecond (promise 4). An engine that expires values by the second, or
//! at some later time, cannot decide about expiry, but it can free the space. A record therefore
//! has two expiries:
//!
//! * The **exact** one, in milliseconds, is in the record, and each operation decides by it.
//!   [`StoredRecord`](crate::StoredRecord) has it.
//! * The **engine's** is the same, rounded up. It is never earlier than the exact one, because it
//!   must not end a session too early.
//!
//! Rounding up to whole seconds is not enough. An engine whose clock ticks in seconds is up to a
//! second into the current one, so "1 second" can mean 1 millisecond. Add one more second.
//!
//! Between the exact expiry and the engine's, the engine still has a value that no caller may see.
//! [`compare_and_swap`](super::compare_and_swap#expiry-between-the-check-and-the-change) describes
//! what this requires in an engine with compare-and-swap.
//!
//! # Memcached
//!
//! * Memcached interprets an expiry of more than 30 days as a time since 1970. A ttl of 31 days,
//!   sent as it is, means February 1970, and the session is gone at once. Send the time since 1970
//!   for longer ttls.
//! * Memcached reads the number as a signed 32-bit integer, which ends in January 2038. Send 0,
//!   which means never, for later times. The record still has its exact expiry, but its space is
//!   freed by eviction only.
//! * A value can be evicted at any time, and all values are gone after a restart. State this in the
//!   documentation of the store, as what the engine can lose.
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
//! DynamoDB removes an item some time after the second in its ttl attribute, sometimes days later,
//! so only the record's own expiry decides. etcd frees a key with its lease, which has whole
//! seconds and a minimum length that the server sets. Round up for both, as above.
