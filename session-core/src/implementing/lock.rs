//! A store with a lock.
//!
//! The check and the change happen under one lock, so they are one atomic step. If the engine has
//! scripts (Redis), or conditional statements (SQL, MongoDB), these replace the lock: the code
//! between `lock` and the end of each method becomes one script or statement.
//!
//! Each method reads the clock after it has acquired the lock, and looks for the *live* record. It
//! ignores an expired record, whether or not its space was freed.
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
