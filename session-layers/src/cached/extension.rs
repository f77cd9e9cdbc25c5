use session_core::{Result, SessionStore};

use super::{CacheSettings, Cached};

/// Puts a cache in front of any store: `store.cached(CacheSettings::default())`.
pub trait CacheExt: SessionStore + Sized + 'static {
    /// Wraps this store in a [`Cached`] store.
    ///
    /// ```
    /// use session_layers::{CacheExt, CacheSettings};
    /// use session_memory::MemoryStore; // or any other store
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> session_core::Result<()> {
    /// let store = MemoryStore::new().cached(CacheSettings::default())?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Those of [`Cached::new`].
    fn cached(self, settings: CacheSettings) -> Result<Cached<Self>> {
        Cached::new(self, settings)
    }
}

impl<S: SessionStore + 'static> CacheExt for S {}
