use std::{future::Future, panic::AssertUnwindSafe};

use futures_util::FutureExt;

/// Runs a future of the backend, and turns a panic into an error for the callers whose operations it
/// carried.
///
/// The backend sees its future dropped, as after any failure, and must keep what it shares in order.
pub(crate) async fn catch_panic<T>(future: impl Future<Output = T>) -> Result<T, &'static str> {
    AssertUnwindSafe(future).catch_unwind().await.map_err(|_| "the store panicked")
}
