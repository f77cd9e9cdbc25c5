use std::{pin::Pin, sync::Arc};

use session_core::SessionStore;
use session_servers::{Deployment, deployments};

use super::required_only::RequiredOnly;

type Opened = Result<Arc<dyn SessionStore>, String>;

/// A store to run the cases on.
#[derive(Clone, Copy)]
pub(crate) enum Candidate {
    /// A store that has only the four required operations.
    RequiredOnly,
    Of(Deployment),
}

/// All stores of the workspace, and one with only the required operations.
pub(crate) fn candidates() -> Vec<Candidate> {
    let engines = deployments().into_iter().map(Candidate::Of);
    engines.chain([Candidate::RequiredOnly]).collect()
}

impl Candidate {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RequiredOnly => "required-only",
            Self::Of(deployment) => deployment.name,
        }
    }

    /// Whether the store's watch distinguishes an expiry from other changes.
    pub(crate) fn tells_expiry(self) -> bool {
        match self {
            Self::RequiredOnly => false,
            Self::Of(deployment) => deployment.tells_expiry,
        }
    }

    /// An empty store, or the reason why there is none.
    pub(crate) fn open(self) -> Pin<Box<dyn Future<Output = Opened> + Send>> {
        match self {
            Self::RequiredOnly => Box::pin(async { Ok(Arc::new(RequiredOnly::new()) as _) }),
            Self::Of(deployment) => Box::pin(async move {
                let url = deployment.new_url().await?;
                session_connect::connect(&url).await.map_err(|error| error.to_string())
            }),
        }
    }

    /// Whether the case fails if the store is absent.
    pub(crate) fn is_required(self) -> bool {
        match self {
            Self::RequiredOnly => true,
            Self::Of(deployment) => deployment.is_required(),
        }
    }
}
