//! Correctness from an application's point of view: the *correct?* columns.

pub mod checks;
pub mod node;
mod ours;
mod remote;

use async_trait::async_trait;

pub use ours::Ours;
pub use remote::Remote;

use crate::candidate::Result;

/// One process of an application that uses the library as documented. Tests what requests see, not
/// what the store does.
#[async_trait]
pub trait Probe: Send + Sync {
    /// A visitor logs in as this user. Returns the id in the cookie.
    async fn login(&self, user: &str) -> Result<String>;

    /// A request with this cookie arrives, and loads its session.
    async fn begin(&self, id: &str) -> Result<Box<dyn Request>>;

    /// A request with this cookie logs out.
    async fn logout(&self, id: &str) -> Result<()>;

    /// A request with this cookie asks whether a user is logged in.
    async fn is_logged_in(&self, id: &str) -> Result<bool>;

    /// A request with this cookie reads a value.
    async fn get(&self, id: &str, key: &str) -> Result<Option<String>>;

    /// Ends all sessions of this user. `None` if the library has no such call.
    async fn logout_everywhere(&self, user: &str) -> Option<Result<()>> {
        let _ = user;
        None
    }
}

/// A request whose session has been loaded.
#[async_trait]
pub trait Request: Send {
    /// Sets one value of the session.
    async fn set(&mut self, key: &str, value: &str) -> Result<()>;

    /// The request ends, and its changes are saved. A library that refuses to save returns an
    /// error, which is a valid answer.
    async fn save(self: Box<Self>) -> Result<()>;
}
