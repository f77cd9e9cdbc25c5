use async_trait::async_trait;

use crate::{Owner, Result, SessionKey};

/// Lists and ends the sessions of one owner: "your devices", "log out everywhere".
///
/// # Contract
/// This is promise 8 of [`SessionStore`](crate::SessionStore#8-owner-index). A value that cannot be
/// decoded (promise 15) belongs to no owner: a listing and a count may omit it, and a deletion may
/// leave it in place. After [`close`](crate::SessionStore::close), each operation works or fails as
/// [`Closed`](crate::ErrorKind::Closed).
///
/// # Example
///
/// "Log out everywhere but here":
///
/// ```
/// use session_core::{Owner, Result, SessionKey, SessionStore};
///
/// async fn logout_others(store: &dyn SessionStore, user: &str, here: &SessionKey) -> Result<usize> {
///     let Some(owners) = store.owners() else { return Ok(0) };
///     let ended = owners.delete_all(&Owner::new(user)?, Some(here)).await?;
///     Ok(ended.len()) // and their keys tell which open connections to close
/// }
/// ```
#[async_trait]
pub trait OwnerIndex: Send + Sync {
    /// Returns the keys of all live sessions of `owner`, in no particular order and without
    /// duplicates.
    ///
    /// The list holds every session that was live and belonged to this owner throughout the call. A
    /// session that began, ended or changed its owner meanwhile may be in it or not. Costs memory
    /// for all of them (33 bytes each), so limit the number of sessions per owner.
    ///
    /// # Errors
    /// As [`SessionStore::read`](crate::SessionStore::read).
    async fn list(&self, owner: &Owner) -> Result<Vec<SessionKey>>;

    /// Returns the number of live sessions of `owner`, as exact as [`list`](Self::list).
    ///
    /// # Errors
    /// As [`SessionStore::read`](crate::SessionStore::read).
    async fn count(&self, owner: &Owner) -> Result<u64>;

    /// Ends all sessions of `owner` except the one under `except`, and returns the keys of the live
    /// ones that it ended.
    ///
    /// When it returns, every session of the owner that was live when the call began has ended,
    /// even if it was renamed meanwhile. To keep the caller's own session, make sure that no task
    /// renames it during the call. Sessions that begin during the call may be ended too. A session
    /// that an overlapping write gives to another owner may or may not end.
    ///
    /// # Errors
    /// As [`SessionStore::delete`](crate::SessionStore::delete). After an error, some of the
    /// sessions may have ended. Calling again is always safe.
    async fn delete_all(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<Vec<SessionKey>>;
}
