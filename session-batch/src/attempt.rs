use std::{future::Future, panic::AssertUnwindSafe};

use futures_util::FutureExt;

/// Runs a future of the store within. A panic in it is an error like others, told to those whose operations it carried, alone or in a batch.
///
/// The store within sees its future dropped, as after any failure; what it shares with others is its own to keep in order.
pub(crate) async fn attempt<T>(future: impl Future<Output = T>) -> Result<T, &'static str> {
    AssertUnwindSafe(future).catch_unwind().await.map_err(|_| "the store panicked")
}
