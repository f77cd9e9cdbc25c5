//! A server to talk to, ours or not.

use std::env;
use std::fmt;

use crate::{Engine, LaunchError, Server};

/// A server named by the environment, or else one launched for the occasion.
///
/// Only a launched one can be broken, so whoever wants to has to ask [`server`](Self::server) first.
pub enum Endpoint<E> {
    /// Launched here, and ended on drop.
    Launched(Box<Server<E>>),
    /// Runs elsewhere, under this URL.
    External(String),
}

impl<E: Engine> Endpoint<E> {
    /// The server whose URL the environment variable `variable` holds; when it is empty or unset, a launched
    /// one.
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
