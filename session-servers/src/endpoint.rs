//! A server for tests, launched or external.

use std::env;
use std::fmt;

use crate::{Engine, LaunchError, Server};

/// A server that the environment names, or a launched one.
///
/// Only a launched server can be broken. Call [`server`](Self::server) to find out whether it is
/// one.
pub enum Endpoint<E> {
    /// Launched by this process, and ended on drop.
    Launched(Box<Server<E>>),
    /// An external server, with this URL.
    External(String),
}

impl<E: Engine> Endpoint<E> {
    /// Returns the server whose URL is in the environment variable `variable`. If that is empty or
    /// unset, launches one.
    ///
    /// An external server is not contacted here.
    ///
    /// # Errors
    ///
    /// As for [`Server::launch`], and never for an external server.
    pub async fn find(variable: &str, engine: E) -> Result<Self, LaunchError> {
        match env::var(variable) {
            Ok(url) if !url.is_empty() => Ok(Self::External(url)),
            _ => Ok(Self::Launched(Box::new(Server::launch(engine).await?))),
        }
    }

    /// The URL for clients.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Launched(server) => server.url(),
            Self::External(url) => url.clone(),
        }
    }

    /// The launched server, which can be frozen, killed and restarted; `None` for an external one.
    #[must_use]
    pub fn server(&self) -> Option<&Server<E>> {
        match self {
            Self::Launched(server) => Some(server),
            Self::External(_) => None,
        }
    }
}

impl<E: fmt::Debug> fmt::Debug for Endpoint<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Launched(server) => f.debug_tuple("Launched").field(server).finish(),
            // The URL may hold a password, and a failing case prints what it has.
            Self::External(_) => f.debug_tuple("External").finish_non_exhaustive(),
        }
    }
}
