//! A store with a lock.
//!
//! The check and the change happen under one lock, so that they are one step. Where the engine has
//! scripts (Redis), or statements with a condition (SQL, MongoDB), these take the place of the
//! lock: what stands between `lock` and the end of each method goes into one script or statement.
//!
//! Each method reads the clock after it has the lock, and asks for the *live* record. It never
//! looks at one that has expired, whether or not that was freed.
//!
//! ```
#![doc = include_str!("../../doc/worked_store.rs")]
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
