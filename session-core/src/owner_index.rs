use async_trait::async_trait;

use crate::{Owner, Result, SessionKey};

/// Finding and ending the sessions of one owner: "your devices", "log out everywhere".
///
/// # Contract
/// This is promise 8 of [`SessionStore`](crate::SessionStore#8-owner-index). What cannot be decoded
/// (promise 15) is no session of any owner: a listing and a count may leave it out, and a deletion
/// may leave it alone. After [`close`](crate::SessionStore::close), each operation works or fails
/// as [`Closed`](crate::ErrorKind::Closed).
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
    /// The keys of all live sessions of `owner`, in no particular order and without repetition.
    ///
    /// Holds every session that was this owner's and live throughout the call; one that began, ended or changed hands
    /// meanwhile may be there or not. Costs memory for all of them (33 bytes each): limit how many one owner may have.
    ///
    /// # Errors
    /// As [`SessionStore::read`](crate::SessionStore::read).
    async fn list(&self, owner: &Owner) -> Result<Vec<SessionKey>>;

    /// How many live sessions `owner` has; as exact as [`list`](Self::list).
    ///
    /// # Errors
    /// As [`SessionStore::read`](crate::SessionStore::read).
    async fn count(&self, owner: &Owner) -> Result<u64>;

    /// Ends all sessions of `owner` but the one under `except`, and returns the keys of the live ones it ended.
    ///
    /// When it returns, every session of the owner that was live when the call began has ended, also one that was
    /// renamed meanwhile: to spare the caller's own, make sure nobody is renaming it. Sessions that begin during the call may
    /// be ended too. A session that an overlapping write gives to somebody else may go or stay.
    ///
    /// # Errors
    /// As [`SessionStore::delete`](crate::SessionStore::delete). After an error, some of the sessions may have ended.
    /// Calling again is always safe.
    async fn delete_all(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<Vec<SessionKey>>;
}
