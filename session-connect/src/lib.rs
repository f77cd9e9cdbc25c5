#![doc = include_str!("../README.md")]

mod builders;
mod engine;
mod options;

use std::sync::Arc;

use session_core::{Result, SessionStore};

pub use engine::Engine;
pub use options::ConnectOptions;

/// Opens the store that the URL names, with the defaults of its engine.
///
/// The engine's own `connect` documents the rest of the URL and its options.
///
/// # Errors
/// `Config` if the scheme is that of no engine, or of one that is not compiled in: the error lists
/// the engines that are. It quotes nothing of the URL. Otherwise the errors of the engine's
/// `connect`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> session_core::Result<()> {
/// # #[cfg(feature = "memory")]
/// let store = session_connect::connect("memory:").await?;
/// # Ok(())
/// # }
/// ```
pub async fn connect(url: &str) -> Result<Arc<dyn SessionStore>> {
    connect_with(url, ConnectOptions::new()).await
}

/// Opens the store that the URL names, with these settings.
///
/// # Errors
/// Those of [`connect`], and `Config` for a setting that the engine refuses.
pub async fn connect_with(url: &str, options: ConnectOptions) -> Result<Arc<dyn SessionStore>> {
    Engine::required(url)?.open(url, options).await
}
